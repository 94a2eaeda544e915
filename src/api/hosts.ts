import ipaddr from "ipaddr.js";

export interface Listening {
  hostname: string;
  port: number;
}

/** Host name of a Host header or of a URL's host, in lower case, without port and brackets; undefined when malformed. */
export function hostName(host: string): string | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]{1,253}))(?::(\d{1,5}))?$/.exec(host);
  if (!match || Number(match[3] ?? 0) > 65535) return undefined;
  const name = (match[1] ?? match[2] ?? "").toLowerCase();
  return match[1] !== undefined && !ipaddr.IPv6.isValid(name) ? undefined : withoutDot(name);
}

const withoutDot = (name: string): string => (name.endsWith(".") ? name.slice(0, -1) : name);

/** Whether this name or literal address can only mean this machine. */
export function isLoopback(name: string): boolean {
  if (name === "localhost" || name.endsWith(".localhost")) return true;
  return ipaddr.isValid(name) && ipaddr.process(name).range() === "loopback";
}

const isAnyAddress = (name: string): boolean =>
  ipaddr.isValid(name) && ipaddr.process(name).range() === "unspecified";

/**
 * Whether a Host names this service (A26, F178): the listeners' own names and addresses, localhost, what the operator
 * allows. Behind a listener on all addresses any literal address is one of ours: rebinding needs a name.
 */
export function isOwnHost(
  name: string,
  listening: readonly Listening[],
  allowed: readonly string[],
): boolean {
  if (name === "localhost") return true;
  if (allowed.some((host) => withoutDot(host.toLowerCase()) === name)) return true;
  const literal = ipaddr.isValid(name);
  return listening.some(({ hostname }) => {
    const own = hostname.toLowerCase().replace(/^\[|\]$/g, "");
    if (isAnyAddress(own)) return literal;
    if (isLoopback(own) && literal) return isLoopback(name);
    return own === name || (literal && ipaddr.isValid(own) && sameAddress(own, name));
  });
}

const sameAddress = (a: string, b: string): boolean =>
  ipaddr.process(a).toNormalizedString() === ipaddr.process(b).toNormalizedString();
