import { afterEach, beforeEach, expect, test } from "bun:test";
import { type Fault, type Match, type Origin, startOrigin } from "./origin.ts";
import { getText, rawRequest } from "./raw.ts";

const RANGE = { Range: "bytes=1000-1999" };
let origin: Origin;

beforeEach(async () => {
  origin = await startOrigin({ resources: [{ path: "/f", seed: 5, size: 100_000 }] });
});
afterEach(() => origin.stop());

const get = (headers?: Record<string, string>) => rawRequest(origin.port, getText("/f", headers));

test("rules match by path, method, start, covered byte, header, and end after `times`", async () => {
  const teapot: Fault = { kind: "respond", status: 418 };
  const status = async (match: Match, headers: Record<string, string>) => {
    const rule = origin.on(match, teapot);
    const answer = await get(headers);
    rule.remove();
    return answer.status;
  };
  expect(await status({ path: "/*" }, {})).toBe(418);
  expect(await status({ path: "/g" }, {})).toBe(200);
  expect(await status({ method: "HEAD" }, {})).toBe(200);
  expect(await status({ start: 1000 }, RANGE)).toBe(418);
  expect(await status({ start: 1001 }, RANGE)).toBe(206);
  expect(await status({ covers: 1999 }, RANGE)).toBe(418);
  expect(await status({ covers: 2000 }, RANGE)).toBe(206);
  expect(await status({ covers: 999 }, RANGE)).toBe(206);
  expect(await status({ covers: 99_999 }, {})).toBe(418);
  expect(await status({ header: { name: "If-Range" } }, RANGE)).toBe(206);
  expect(await status({ header: { name: "Range", value: "bytes=1*" } }, RANGE)).toBe(418);
  expect(await status({ ranged: false }, RANGE)).toBe(206);
  const rule = origin.on({ times: 2 }, teapot);
  expect([(await get()).status, (await get()).status, (await get()).status, rule.hits]).toEqual([
    418, 418, 200, 2,
  ]);
});

test("nth and connection take a number, a run or every so many", async () => {
  const teapots = async (match: Match) => {
    const rule = origin.on(match, { kind: "respond", status: 418 });
    const statuses: number[] = [];
    for (let i = 0; i < 5; i++) statuses.push((await get()).status);
    rule.remove();
    return statuses.flatMap((status, i) => (status === 418 ? [i + 1] : []));
  };
  expect(await teapots({ nth: 2 })).toEqual([2]);
  expect(await teapots({ nth: { from: 2, to: 3 } })).toEqual([2, 3]);
  expect(await teapots({ nth: { every: 2 } })).toEqual([2, 4]);
  expect(await teapots({ connection: { from: 1 + origin.stats.connections + 3 } })).toEqual([4, 5]);
});

test("rules act together in their order, and clear ends them all", async () => {
  origin.on({}, { kind: "validators", etag: '"x"' });
  origin.on({}, { kind: "headers", add: [["X-One", "1"]] });
  origin.on({}, { kind: "cut", at: 10 });
  const answer = await get(RANGE);
  expect([answer.header("etag"), answer.header("x-one"), answer.body.length]).toEqual([['"x"'], ["1"], 10]);
  origin.clear();
  expect((await get(RANGE)).body.length).toBe(1000);
});
