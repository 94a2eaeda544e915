import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import ipaddr from "ipaddr.js";
import { DownloadError } from "../core/errors.ts";

/** A resolved address in its textual form, without brackets. */
export interface Address {
  address: string;
  family: 4 | 6;
}

/** `public`: the open internet. `private`: somebody's inside. `never`: nothing there is ours to ask, whoever allows it. */
export type Reach = "public" | "private" | "never";

/**
 * Cloud metadata services outside the link-local range (F167): AWS and Google over IPv6, Alibaba, Oracle, Azure.
 * 169.254.169.254 is link-local and refused as such.
 */
const METADATA = new Set(
  ["fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192", "168.63.129.16"].map(canonical),
);
const METADATA_NAMES = new Set([
  "metadata",
  "metadata.google.internal",
  "metadata.goog",
  "metadata.tencentyun.com",
  "instance-data",
  "instance-data.ec2.internal",
]);
const NEVER = new Set(["linkLocal", "multicast", "broadcast"]);

/** The host of a URL as rules compare it: no brackets, no trailing dots (F169), lower case. */
export const hostOf = (url: URL): string =>
  url.hostname
    .replace(/^\[|\]$/g, "")
    .replace(/\.+$/, "")
    .toLowerCase();

/** The address when the host is a literal one. */
export function literal(host: string): Address | undefined {
  const family = isIP(host);
  return family === 0 ? undefined : { address: host, family: family === 6 ? 6 : 4 };
}

/** `localhost` and everything below it is this machine, whatever a resolver says (RFC 6761 §6.3). */
export const isLocalhost = (host: string): boolean => host === "localhost" || host.endsWith(".localhost");

function canonical(address: string): string {
  return ipaddr.process(address).toNormalizedString();
}

/** IPv4 address inside an IPv6 one: mapped, NAT64 (RFC 6052), 6to4 (RFC 3056), translated and compatible (F169). */
function embedded(address: ipaddr.IPv6): ipaddr.IPv4 | undefined {
  const [a, b, c, d, e, f, g, h] = address.parts as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const v4 = (high: number, low: number) => new ipaddr.IPv4([high >> 8, high & 0xff, low >> 8, low & 0xff]);
  if (a === 0x2002) return v4(b, c);
  if (a === 0x64 && b === 0xff9b && !c && !d && !e && !f) return v4(g, h);
  if (a || b || c || d) return undefined;
  const mapped = (!e && f === 0xffff) || (e === 0xffff && !f);
  const compatible = !e && !f && (g !== 0 || h > 1);
  return mapped || compatible ? v4(g, h) : undefined;
}

const judged = new Map<string, Reach>();

/** Which of the three an address belongs to. Text that is no address reaches nothing. Remembered: asked at every hop. */
export function reach(address: string): Reach {
  const known = judged.get(address);
  if (known !== undefined) return known;
  if (judged.size >= 1000) judged.clear();
  const judgement = judge(address);
  judged.set(address, judgement);
  return judgement;
}

function judge(address: string): Reach {
  if (!ipaddr.isValid(address)) return "never";
  const parsed = ipaddr.parse(address);
  const inner = parsed instanceof ipaddr.IPv6 ? embedded(parsed) : undefined;
  if (inner) return judge(inner.toString());
  const range = parsed.range();
  if (NEVER.has(range) || METADATA.has(parsed.toNormalizedString())) return "never";
  return range === "unicast" ? "public" : "private";
}

export interface AddressOptions {
  /** Loopback and private targets may be asked: no key and only loopback listeners. */
  allowPrivate: boolean;
  /** CIDR ranges, addresses and host names the operator permits although they are private. */
  allowAddresses: readonly string[];
  /** Our own listeners: never a target (F175). */
  ownPorts?: () => readonly { host: string; port: number }[];
}

export interface AddressRules {
  /** What can be said before anything is resolved: literals, `localhost`, metadata names. */
  checkHost(url: URL, trusted?: boolean): void;
  /** Every address the name resolved to; one bad address condemns the name (F166). */
  checkAddresses(url: URL, addresses: readonly Address[], trusted?: boolean): void;
}

/** One code and one text whatever the reason, so that answers are no port scanner (F176). */
const forbidden = (url: URL): DownloadError =>
  new DownloadError(
    "forbidden_address",
    `Requests to ${hostOf(url)} are not allowed: its address is private, reserved or our own. ` +
      "The operator can permit a private one with --allow-address.",
    { param: "url" },
  );

/** The rules of A26 and FAULTS F166-F177. `trusted` marks an address the operator named himself. */
export function addressRules(options: AddressOptions): AddressRules {
  const allowed = allowList(options.allowAddresses);
  const own = options.ownPorts ?? (() => []);

  const permitted = (host: string, { address }: Address, trusted: boolean): boolean => {
    const where = reach(address);
    if (where !== "private") return where === "public";
    return options.allowPrivate || trusted || allowed(host, address);
  };
  const check = (url: URL, addresses: readonly Address[], trusted: boolean): void => {
    const host = hostOf(url);
    if (METADATA_NAMES.has(host)) throw forbidden(url);
    for (const one of addresses)
      if (!permitted(host, one, trusted) || isOwn(one.address, portOf(url), own())) throw forbidden(url);
  };
  return {
    checkHost(url, trusted = false) {
      const host = hostOf(url);
      const known = literal(host);
      check(url, known ? [known] : isLocalhost(host) ? LOOPBACK : [], trusted);
    },
    checkAddresses: (url, addresses, trusted = false) => check(url, addresses, trusted),
  };
}

export const LOOPBACK: readonly Address[] = [
  { address: "127.0.0.1", family: 4 },
  { address: "::1", family: 6 },
];

/** Port of a URL with the scheme's default filled in. */
export const portOf = (url: URL): number =>
  url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);

const BITS = { ipv4: 32, ipv6: 128 };

/** Tells whether a host or one of its addresses is on a list of names, addresses and CIDR ranges. */
export function allowList(entries: readonly string[]): (host: string, address?: string) => boolean {
  const names = new Set<string>();
  const ranges: [ipaddr.IPv4 | ipaddr.IPv6, number][] = [];
  for (const entry of entries.map((text) =>
    text
      .trim()
      .replace(/^\[|\]$/g, "")
      .toLowerCase(),
  )) {
    if (ipaddr.isValidCIDR(entry)) ranges.push(ipaddr.parseCIDR(entry));
    else if (ipaddr.isValid(entry))
      ranges.push(ipaddr.parseCIDR(`${ipaddr.process(entry)}/${BITS[ipaddr.process(entry).kind()]}`));
    else if (/^[a-z0-9_.-]+$/.test(entry)) names.add(entry.replace(/\.+$/, ""));
    else
      throw new DownloadError(
        "invalid_request",
        `"${entry}" is neither a host name nor an address nor a CIDR range`,
      );
  }
  return (host, address) => {
    if (names.has(host)) return true;
    if (address === undefined || !ipaddr.isValid(address)) return false;
    const parsed = ipaddr.process(address);
    return ranges.some(([range, bits]) => parsed.kind() === range.kind() && parsed.match(range, bits));
  };
}

/** Whether connecting to this address and port would reach one of our own listeners, wildcard ones included. */
function isOwn(address: string, port: number, own: readonly { host: string; port: number }[]): boolean {
  const listeners = own.filter((listener) => listener.port === port);
  if (listeners.length === 0) return false;
  const target = ipaddr.process(address);
  // The unspecified address connects to this machine on every system we run on.
  if (target.range() === "unspecified") return true;
  return listeners.some(({ host }) => {
    const bound = host.replace(/^\[|\]$/g, "").toLowerCase();
    if (!ipaddr.isValid(bound)) return target.range() === "loopback";
    if (ipaddr.parse(bound).range() === "unspecified") return isThisMachine(target);
    return canonical(bound) === target.toNormalizedString();
  });
}

function isThisMachine(target: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  if (target.range() === "loopback") return true;
  const text = target.toNormalizedString();
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return addresses.some((one) => canonical(one.address) === text);
}
