import { type Reply, startOrigin } from "../../support/origin.ts";
import { startResolver } from "./dns.ts";
import { openNetwork, PORT, startCanaries } from "./network.ts";
import { addressIn, wildcardName } from "./spellings.ts";

/** Addresses that look like the open internet; in the namespace they are as much this machine as all others. */
export const OPEN = {
  origin: "5.5.5.5",
  origin6: "2a00:5::5",
  proxy: "5.5.5.6",
  daemon: "5.5.5.10",
} as const;
/** A mirror inside, which one daemon's operator allows (F177). */
export const MIRROR = "10.20.30.40";
export const PROXY = `http://${OPEN.proxy}:8888`;
const RESOLVER = "127.0.0.53";
const CONTENT = { seed: 7, size: 300_000 };
const REDIRECTS = [301, 302, 303, 307, 308] as const;

/** What may be downloaded. */
export const GOOD = `http://open.test:${PORT}/good.bin`;

/** An address of the origin that leads to `to` over so many redirects, each to another host. */
export const redirectTo = (to: string, hops: number): string =>
  `http://hop${hops}.test:${PORT}/hop/${hops}/${Buffer.from(to).toString("base64url")}/m.bin`;

/** How a name misbehaves: it turns inside after the check, has an address inside among others, or is inside at once. */
export const TURNS = ["flips", "mixed", "inside"] as const;
export type Turn = (typeof TURNS)[number];

export const rebound = (address: string, turn: Turn, number: number): string =>
  `http://${turn}-${number}.${wildcardName(address)}:${PORT}/rebound/m.bin`;

export type World = Awaited<ReturnType<typeof startWorld>>;

/** The origin, its DNS, the canaries and a proxy; only inside of the rig's own namespaces. */
export async function startWorld(folder: string) {
  openNetwork(RESOLVER, folder, OPEN.origin6);
  const resolver = await startResolver(RESOLVER, zone);
  const handler = ({ target }: { target: string }) => reply(target);
  const [origin, origin6, mirror, proxy] = await Promise.all([
    startOrigin({ host: OPEN.origin, port: PORT, handler }),
    startOrigin({ host: OPEN.origin6, port: PORT, handler }),
    startOrigin({ host: MIRROR, port: PORT, handler }),
    startOrigin({ host: OPEN.proxy, port: Number(new URL(PROXY).port), handler }),
  ]);
  for (const one of [origin, origin6, mirror]) {
    one.put({ path: "/good.bin", ...CONTENT });
    // The first answer tells of a file, what asks for more of it breaks off, so that the name is looked up again.
    one.on({ path: "/rebound/*", covers: 1 }, { kind: "cut", at: "start" });
  }
  return { origin, origin6, mirror, proxy, resolver, canaries: startCanaries() };
}

/** Everything below `.test` is the origin, but for names that spell an address out. */
function zone(name: string, turn: number): readonly string[] | undefined {
  const open = [OPEN.origin, OPEN.origin6];
  const address = addressIn(name);
  if (address === undefined) return name.endsWith(".test") ? open : undefined;
  if (name.startsWith("flips-")) return turn === 0 ? open : [address];
  if (name.startsWith("mixed-")) return [...open, address];
  return [address];
}

/** Made by the path alone, whether asked directly or through a proxy. */
function reply(target: string): Reply | undefined {
  const path = target.replace(/^http:\/\/[^/]+/, "");
  const [, hops, encoded = ""] = /^\/hop\/(\d+)\/([\w-]+)\//.exec(path) ?? [];
  if (hops === undefined)
    return /^\/(?:rebound\/|good\.bin)/.test(path) ? { resource: { path, ...CONTENT } } : undefined;
  const left = Number(hops);
  const to = Buffer.from(encoded, "base64url").toString();
  const place = left > 1 ? redirectTo(to, left - 1) : to;
  // A field is no place for what is not ASCII; browsers and curl send it like this.
  const location = place.replace(/[^\x00-\x7f]/g, encodeURIComponent);
  return { status: REDIRECTS[left % REDIRECTS.length] ?? 302, headers: [["Location", location]] };
}
