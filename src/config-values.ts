/** Parsers of single configuration values. Each takes text and throws an Error that says what was expected. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import bytes from "bytes";
import ipaddr from "ipaddr.js";

export interface Listener {
  /** IP address, IPv6 without brackets. */
  host: string;
  /** 0 lets the system choose. */
  port: number;
  /** A default that may fail with a warning (a machine without IPv6). */
  optional: boolean;
}

/** What default values and relative paths depend on. */
export interface Place {
  /** Folder that relative paths start from. */
  base: string;
  env: Readonly<Record<string, string | undefined>>;
  platform: NodeJS.Platform;
}

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$/i;

export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new Error(`expected a whole number from ${min} to ${max}`);
  };
}

export function oneOf<const T extends string>(...values: readonly T[]): (text: string) => T {
  return (text) => {
    const found = values.find((value) => value === text);
    if (found !== undefined) return found;
    throw new Error(`expected one of ${values.join(", ")}`);
  };
}

/** Bytes; units are powers of 1024, with or without the `i` (`50MB` = `50MiB`). */
export function size(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])i?)?b?$/i.exec(text.trim());
  const value = match === null ? null : bytes.parse(`${match[1]}${match[2] ?? ""}b`);
  if (value === null) throw new Error("expected a size, such as 50MB, 1.5GiB or 0");
  return Math.round(value);
}

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds. */
export function duration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim());
  if (text.trim() === "0") return 0;
  if (match === null) throw new Error("expected a duration, such as 15s, 24h, 30d or 0");
  return Math.round(Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS]);
}

export function flag(text: string): boolean {
  if (/^(1|true|yes|on)$/i.test(text)) return true;
  if (/^(0|false|no|off)$/i.test(text)) return false;
  throw new Error("expected true or false");
}

export const home = (place: Place): string => place.env.HOME || place.env.USERPROFILE || homedir();

/** Absolute; `~/` is the home folder, since a config file has no shell to expand it. */
export function folder(text: string, place: Place): string {
  if (text.includes("\0")) throw new Error("expected a path");
  return /^~[/\\]/.test(text) ? join(home(place), text.slice(2)) : resolve(place.base, text);
}

/** Longest path of a Unix socket in bytes, as the kernel has room for it (`sun_path`). */
const LONGEST_SOCKET = { linux: 107, other: 103 } as const;

/** Absolute path of a Unix socket. */
export function socketPath(text: string, place: Place): string {
  if (place.platform === "win32")
    throw new Error("there are no Unix sockets for it on Windows; give --listen");
  const path = folder(text, place);
  const longest = LONGEST_SOCKET[place.platform === "linux" ? "linux" : "other"];
  if (Buffer.byteLength(path) <= longest) return path;
  throw new Error(`expected a path of at most ${longest} bytes, the longest a Unix socket can have here`);
}

/** Where a daemon is: its base URL, or `unix:` and the absolute path of its socket (`unix:///run/x.sock` too). */
export function serverUrl(text: string, place: Place): string {
  if (!text.startsWith("unix:")) return httpUrl(text);
  return `unix:${socketPath(text.slice("unix:".length).replace(/^\/\/(?=\/)/, ""), place)}`;
}

/** Base URL without a trailing slash; no userinfo, query or fragment. */
export function httpUrl(text: string): string {
  const url = URL.parse(text);
  const plain = url !== null && /^https?:$/.test(url.protocol) && url.search === "" && url.hash === "";
  if (!plain || url.username !== "" || url.password !== "")
    throw new Error("expected a URL such as http://127.0.0.1:8080, without user name, query or fragment");
  return url.href.replace(/\/+$/, "");
}

export function proxyUrl(text: string): string {
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol) && url.pathname === "/" && url.search === "")
    return url.href;
  throw new Error("expected http://[user:password@]host:port or https://…");
}

export function origin(text: string): string {
  const url = URL.parse(text);
  if (url !== null && url.origin !== "null" && url.origin === text.toLowerCase()) return url.origin;
  throw new Error("expected an origin such as https://ui.example.org (scheme and host, no path)");
}

export function hostName(text: string): string {
  if (HOST_NAME.test(text) || ipaddr.isValid(text)) return text.toLowerCase();
  throw new Error("expected a host name or an address, without scheme or port");
}

/** A network (`10.0.0.0/8`), an address or a host name. */
export function addressOrHost(text: string): string {
  if (text.includes("/") ? ipaddr.isValidCIDR(text) : HOST_NAME.test(text) || ipaddr.isValid(text))
    return text.toLowerCase();
  throw new Error("expected a network such as 10.0.0.0/8, an address or a host name");
}

/** `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`; `localhost` listens on both loopback addresses. */
export function listeners(text: string): Listener[] {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? "";
  const port = Number(match?.[3] ?? Number.NaN);
  if (host.toLowerCase() === "localhost" && port <= 65535) return loopback(port);
  if (
    !(port <= 65535) ||
    !ipaddr.isValid(host) ||
    (match?.[2] !== undefined && !ipaddr.IPv4.isValidFourPartDecimal(host))
  )
    throw new Error("expected ADDRESS:PORT, such as 127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080");
  return [{ host, port, optional: false }];
}

/** Both loopback addresses, so that `localhost` works whatever it resolves to; IPv6 may be missing (A1). */
export function loopback(port: number): Listener[] {
  const first = { host: "127.0.0.1", port, optional: false };
  return port === 0 ? [first] : [first, { host: "::1", port, optional: true }];
}

export const isLoopback = (listener: Listener): boolean =>
  ipaddr.process(listener.host).range() === "loopback";

/** `OLLAMA_HOST` as Ollama's own client reads it: protocols/ollama.md §1. */
export function ollamaHost(text: string): string {
  const match = /^(?:(https?):\/\/)?([^/]*)(\/.*)?$/i.exec(text.trim().replace(/^["']|["']$/g, ""));
  const scheme = match?.[1]?.toLowerCase() ?? "http";
  const standard = match?.[1] === undefined ? "11434" : scheme === "https" ? "443" : "80";
  const authority = match?.[2] ?? "";
  const parts = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(authority) ?? ["", `[${authority}]`, undefined];
  const port = /^\d+$/.test(parts[2] ?? "") && Number(parts[2]) <= 65535 ? parts[2] : standard;
  const bare = parts[1] || "127.0.0.1";
  const host = bare === "0.0.0.0" ? "127.0.0.1" : bare === "[::]" ? "[::1]" : bare;
  const url = URL.parse(`${scheme}://${host}:${port}${match?.[3] ?? ""}`);
  if (url === null) throw new Error("expected host, host:port or http://host:port");
  return url.href.replace(/\/+$/, "");
}
