import { hostName, isLoopback } from "./hosts.ts";

/** R99, with PATCH and Location added (A14). */
const CORS: Record<string, string> = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE, OPTIONS",
  "Access-Control-Allow-Headers": "Content-Type, Authorization, X-API-Key",
  "Access-Control-Expose-Headers": "Location, Retry-After",
};

/**
 * Whether a page of this Origin may read answers and change something (A14). Without a key that are pages of this
 * machine and those the operator named; `null` (sandboxed frames, files) is nobody.
 */
export function isTrusted(origin: string | null, allowed: readonly string[], hasKey: boolean): boolean {
  if (origin === null || hasKey) return true;
  if (allowed.some((one) => one.toLowerCase() === origin.toLowerCase())) return true;
  const match = /^https?:\/\/([^/]+)$/i.exec(origin);
  const name = match?.[1] === undefined ? undefined : hostName(match[1]);
  return name !== undefined && isLoopback(name);
}

/** Whether a browser says that a page of another site made it send the request. */
export const isCrossSite = (request: Request): boolean =>
  request.headers.get("sec-fetch-site")?.toLowerCase() === "cross-site";

/** Whether the request comes from a page this server itself sent, as far as the browser says. */
export function isSameOrigin(request: Request): boolean {
  const site = request.headers.get("sec-fetch-site");
  if (site !== null && site !== "same-origin" && site !== "none") return false;
  const origin = request.headers.get("origin");
  if (origin === null) return true;
  const host = request.headers.get("host");
  return host !== null && origin.toLowerCase().replace(/^https?:\/\//, "") === host.toLowerCase();
}

/** Sets the CORS headers of A14 on an answer. */
export function allowReading(headers: Headers): void {
  for (const [name, value] of Object.entries(CORS)) headers.set(name, value);
}
