/** What browsers say of a request, right and wrong, and what A14, A15 and A26 make of it: the rig's own judge. */

export interface Dimension {
  /** The field as sent; undefined: left out. */
  value: string | undefined;
  /** Whether the wall of this dimension lets it through. */
  isGood: boolean;
}

const good = (value: string | undefined): Dimension => ({ value, isGood: true });
const bad = (value: string | undefined): Dimension => ({ value, isGood: false });

export const ALLOWED_HOST = "models.lan";
export const ALLOWED_ORIGIN = "https://ui.example";

export const hosts = (port: number): Dimension[] => [
  good(`127.0.0.1:${port}`),
  good(`localhost:${port}`),
  good(`[::1]:${port}`),
  good(ALLOWED_HOST),
  bad("rebound.example"),
  bad(`rebound.example:${port}`),
  bad(`localhost.rebound.example:${port}`),
  bad(`127.0.0.1.rebound.example:${port}`),
  bad(`10.0.0.5:${port}`),
  bad("169.254.169.254"),
  bad(`evil.example@localhost:${port}`),
  bad(""),
];

/** Without a key: our own machine, what the operator names, and what is no page at all. */
export const origins = (port: number): Dimension[] => [
  good(undefined),
  good("http://localhost:3000"),
  good(ALLOWED_ORIGIN),
  bad("null"),
  bad("https://evil.example"),
  bad("http://localhost.evil.example"),
  bad(`http://rebound.example:${port}`),
  bad("chrome-extension://abcdefghijklmnop"),
];

export const SITES = [undefined, "same-origin", "same-site", "cross-site"] as const;
export type Site = (typeof SITES)[number];

/** `isGood`: JSON, or nothing at all where nothing is sent. */
export const TYPES: readonly Dimension[] = [
  good("application/json"),
  good(undefined),
  bad("text/plain"),
  bad("application/x-www-form-urlencoded"),
  bad("multipart/form-data; boundary=b"),
  bad("text/plain;application/json"),
];

/**
 * What stands between a request and its route. `open`: no key is set. `none`: one is set and not sent. `exempt`: one is
 * set and this route needs none. `cookie`: the session goes along by itself, as it does from any page of the browser.
 */
export type Credential = "open" | "none" | "exempt" | "cookie";

export interface Cell {
  host: Dimension;
  origin: Dimension;
  site: Site;
  type: Dimension;
}

export interface Asked {
  credential: Credential;
  /** It has an effect whatever its method: the GET routes that start something. */
  starts: boolean;
  /** Neither reads nor upgrades. */
  changes: boolean;
  isSocket: boolean;
  hasBody: boolean;
}

/** Whether the walls must let it through (A14, A15, A26), whatever the route makes of it then. */
export function mayPass(cell: Cell, asked: Asked): boolean {
  const { host, origin, site, type } = cell;
  const { credential, starts, changes, isSocket, hasBody } = asked;
  if (!host.isGood || credential === "none") return false;
  // An image tag sends no Origin.
  if (starts && origin.value === undefined && site === "cross-site") return false;
  const isEffect = starts || changes || isSocket;
  if (isEffect && credential === "open" && !origin.isGood) return false;
  // Only a page of our own, which none of these origins is, may change something with the cookie.
  const isOwnPage = origin.value === undefined && (site === undefined || site === "same-origin");
  if (isEffect && credential === "cookie" && !isOwnPage) return false;
  if (!changes) return true;
  return hasBody ? type.value === "application/json" : type.isGood;
}

export function* cells(port: number, types: readonly Dimension[]): Generator<Cell> {
  for (const host of hosts(port))
    for (const origin of origins(port))
      for (const site of SITES) for (const type of types) yield { host, origin, site, type };
}

/** The header lines of a cell, as a raw request has them. */
export function linesOf({ host, origin, site, type }: Cell): string[] {
  const line = (name: string, value: string | undefined): string[] =>
    value === undefined ? [] : [`${name}: ${value}`];
  return [
    `Host: ${host.value ?? ""}`,
    ...line("Origin", origin.value),
    ...line("Sec-Fetch-Site", site),
    ...line("Content-Type", type.value),
  ];
}
