import { oneOf } from "../../support/random.ts";
import { PORT } from "./network.ts";
import { ambiguous, INSIDE_4, INSIDE_6, type Spelling } from "./spellings.ts";
import { rebound, redirectTo, TURNS } from "./world.ts";

/** One thing that is asked of the daemon, and must not be done. */
export interface Attempt {
  /** For messages and counting: `direct`, `redirect 3`, `rebinding flips`, … */
  way: string;
  /** What it tries to reach. */
  to: string;
  method: "GET" | "POST";
  path: string;
  body?: Record<string, unknown>;
  /** The error codes that are right; `forbidden_address` alone unless said. */
  codes?: readonly string[];
}

export const HOPS = [1, 2, 3, 4, 5] as const;
/** Refusals of what is not even a name or a URL, before its address is anybody's concern. */
const SHAPE = ["forbidden_address", "invalid_request", "invalid_url"] as const;

const urlTo = ({ host }: Spelling, next: () => number): string =>
  `${oneOf(next, ["http", "http", "https"])}://${host}${oneOf(next, ["", `:${PORT}`, ":443", ":9"])}/latest/m.bin`;

const start = (way: string, url: string, codes?: readonly string[]): Attempt => ({
  way,
  to: url,
  method: "POST",
  path: "/v1/downloads",
  body: { url },
  ...(codes && { codes }),
});

/** By its own spelling, and behind one to five redirects. */
export const byUrl = (spelling: Spelling, next: () => number, hops: readonly number[] = HOPS): Attempt[] => {
  const url = urlTo(spelling, next);
  return [
    start("direct", url),
    ...hops.map((count) => ({ ...start(`redirect ${count}`, redirectTo(url, count)), to: url })),
  ];
};

/** Names whose resolver changes its mind, directly and behind a redirect. */
export const byRebinding = (): Attempt[] =>
  [...INSIDE_4, ...INSIDE_6].flatMap((address, index) =>
    TURNS.flatMap((turn) => [
      start(`rebinding ${turn}`, rebound(address, turn, 2 * index)),
      start(`rebinding ${turn}`, redirectTo(rebound(address, turn, 2 * index + 1), 2)),
    ]),
  );

/** What parsers read in two ways. */
export const byAmbiguity = (): Attempt[] =>
  ["127.0.0.1", "169.254.169.254", "[::1]"].flatMap((host) =>
    ambiguous(host, "open.test").map((url) => start("ambiguous", url, ["invalid_url"])),
  );

/** The other ways into the daemon that take an address. */
export function byOtherDoors(spelling: Spelling, next: () => number, number: number): Attempt[] {
  const url = urlTo(spelling, next);
  const { origin } = URL.parse(url) ?? {};
  if (origin === undefined) return [];
  const host = origin.replace(/^https?:\/\//, "");
  const query = (members: Record<string, string>): string => String(new URLSearchParams(members));
  return [
    {
      way: "engine",
      to: url,
      method: "POST",
      path: "/engines",
      body: { engine_id: `engine-${number}`, model_path: url },
    },
    {
      way: "model",
      to: url,
      method: "POST",
      path: "/v1/models",
      body: { model_id: `model-${number}`, model_path: url, model_type: "llm" },
    },
    {
      way: "ollama",
      to: origin,
      method: "POST",
      path: "/v1/downloads",
      body: { provider: "ollama", model: `m${number}`, base_url: url.replace("/latest/m.bin", "") },
      codes: SHAPE,
    },
    // Of a name only the Ollama server itself learns where it leads.
    ...(spelling.resolved
      ? []
      : [
          {
            way: "ollama's own registry",
            to: origin,
            method: "POST" as const,
            path: "/v1/downloads",
            body: { provider: "ollama", model: `${host}/me/n${number}` },
            codes: SHAPE,
          },
        ]),
    {
      way: "ollama-registry",
      to: origin,
      method: "POST",
      path: "/v1/downloads",
      body: { provider: "ollama-registry", model: `http://${host}/me/m${number}` },
      codes: SHAPE,
    },
    {
      way: "abstractcore",
      to: origin,
      method: "GET",
      path: `/api/models/download?${query({ provider: "ollama", model: `a${number}`, base_url: origin })}`,
      codes: SHAPE,
    },
    {
      way: "abstractcore",
      to: url,
      method: "GET",
      path: `/api/models/download?${query({ provider: "url", model: url })}`,
    },
  ];
}
