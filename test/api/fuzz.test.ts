import { expect, setDefaultTimeout, test } from "bun:test";
import { type Body, serve } from "./support.ts";

setDefaultTimeout(60_000);

const SEED = 20_260_101;
const ROUNDS = 3000;

/** The same numbers in each run (mulberry32's mixing of a counter). */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const TEXTS = [
  "",
  "..",
  "a/b",
  "ü",
  "😀",
  "\u0000",
  "a\r\nb",
  "%",
  "%00",
  "x".repeat(3000),
  "__proto__",
  "null",
  "events",
];
const VALUES = [...TEXTS, null, true, -1, 0.5, 2 ** 53, 1e300, [], [[]], {}, { a: { b: [1] } }];
const MEMBERS =
  "url repo_id filename include revision provider model model_id sha256 headers token priority retry layout engine action before position key paused ModelRepo FilePath engine_id model_path model_type main_gpu_id loading_parameters".split(
    " ",
  );

/** Keys of a refusal by where its path begins; everywhere else those of kolosal's `error` (A5). */
const SHAPES: [prefix: string, keys: string][] = [
  ["/local/", "error_code,code,message,details,timestamp,detail"],
  ["/api/", "status,progress,error"],
];

function isShaped(path: string, body: Body): boolean {
  const own = SHAPES.find(([prefix]) => path.startsWith(prefix))?.[1];
  if (own !== undefined) return Object.keys(body ?? {}).join() === own;
  return Object.keys(body?.error ?? {}).join() === "message,type,param,code";
}

const isStream = (item: Body): boolean =>
  /text\/event-stream|Switching/.test(JSON.stringify(item.get?.responses ?? {}));

test("G14 whatever is sent, no answer is a 5xx and every refusal has its family's shape", async () => {
  await using served = await serve({ product: { settings: { paused: true } } });
  const { paths } = (await served.api.openapi()) as { paths: Record<string, object> };
  const targets = Object.keys(paths).filter((path) => !isStream(paths[path]));
  const below = numbers(SEED);
  const pick = <T>(all: readonly T[]): T => all[below(all.length)] as T;
  const body = (): string => {
    if (below(6) === 0) return pick(TEXTS);
    const members = Array.from({ length: below(5) }, () => [pick(MEMBERS), pick(VALUES)]);
    return JSON.stringify({ url: `http://127.0.0.1:9/${below(50)}`, ...Object.fromEntries(members) });
  };
  const wrong: string[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const path = pick(targets).replace(/\{\w+\}/g, () => encodeURIComponent(pick(TEXTS)));
    const query = below(3)
      ? ""
      : `?${pick(["limit", "cursor", "state", "q", "files", "repo", "ModelRepo", "FilePath"])}=${encodeURIComponent(pick(TEXTS))}`;
    const method = pick(["GET", "POST", "POST", "PATCH", "DELETE", "PUT"]);
    const type = { "Content-Type": pick(["application/json", "application/json", "text/plain"]) };
    const sent = method === "GET" ? undefined : body();
    const answer = await served.call(method, path + query, sent, sent === undefined ? {} : type);
    const isWrong = answer.status >= 500 || (answer.status >= 400 && !isShaped(path, answer.body));
    if (isWrong)
      wrong.push(`${method} ${path}${query} ${sent} -> ${answer.status} ${JSON.stringify(answer.body)}`);
  }
  expect(wrong).toEqual([]);
  expect(served.logged.filter((line) => line.startsWith("A request failed"))).toEqual([]);
});
