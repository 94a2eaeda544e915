import { expect, test } from "bun:test";
import { join } from "node:path";
import { type Daemon, type Shown, startDaemon } from "../support/daemon.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { tempDir } from "../support/temp.ts";
import { filesBelow, partials, sha256File } from "./support.ts";

const NAME = "model.gguf";
const SIZE = 12 << 20;
const ENDED = new Set(["completed", "failed", "cancelled"]);

const served = (seed: number): Promise<Origin> =>
  startOrigin({ resources: [{ path: `/${NAME}`, seed, size: SIZE }], ratePerConnection: 8_000_000 });

/** Two services, each with a data folder of its own, on one models folder. */
async function twoOn(dir: string) {
  const models = join(dir, "shared");
  const args = ["--models-dir", models, "--connections", "2"];
  const first = await startDaemon({ dir: join(dir, "first"), args });
  const second = await startDaemon({ dir: join(dir, "second"), args });
  return {
    models,
    first,
    second,
    async [Symbol.asyncDispose]() {
      await first.kill();
      await second.kill();
    },
  };
}

const moving = ({ progress }: Shown): boolean => progress.downloaded_bytes > 0;
const over = ({ state }: Shown): boolean => ENDED.has(state);

/** Begins on both and waits until both have bytes of their own. */
async function bothMoving(one: [Daemon, object], other: [Daemon, object]): Promise<[string, string]> {
  const ids = await Promise.all(
    [one, other].map(async ([daemon, request]) => (await daemon.begin({ ...request })).id),
  );
  await one[0].until(ids[0]!, moving);
  await other[0].until(ids[1]!, moving);
  return [ids[0]!, ids[1]!];
}

test("F110 two services bring one file into one folder at once: there is one, it is right, and both say so", async () => {
  using dir = tempDir("neighbours");
  await using origin = await served(1);
  await using two = await twoOn(dir.path);
  const sha256 = origin.sha256(`/${NAME}`);
  const request = { url: origin.url(`/${NAME}`), sha256 };
  const [a, b] = await bothMoving([two.first, request], [two.second, request]);
  const ended = [await two.first.until(a, over), await two.second.until(b, over)];
  expect(ended.map(({ state, error_message }) => [state, error_message])).toEqual([
    ["completed", undefined],
    ["completed", undefined],
  ]);
  expect(filesBelow(two.models)).toEqual([NAME]);
  expect(await sha256File(join(two.models, NAME))).toBe(sha256);
}, 60_000);

test("F110 two services bring different files of one name: neither overwrites the other's, the later one says what is in its way", async () => {
  using dir = tempDir("neighbours-apart");
  await using one = await served(1);
  await using other = await served(2);
  await using two = await twoOn(dir.path);
  const [a, b] = await bothMoving(
    [two.first, { url: one.url(`/${NAME}`), sha256: one.sha256(`/${NAME}`) }],
    [two.second, { url: other.url(`/${NAME}`), sha256: other.sha256(`/${NAME}`) }],
  );
  const ended = [
    { origin: one, daemon: two.first, shown: await two.first.until(a, over) },
    { origin: other, daemon: two.second, shown: await two.second.until(b, over) },
  ];
  const won = ended.find(({ shown }) => shown.state === "completed")!;
  const lost = ended.find(({ shown }) => shown.state !== "completed")!;
  expect(await sha256File(join(two.models, NAME))).toBe(won.origin.sha256(`/${NAME}`));
  expect([lost.shown.state, lost.shown.error_code]).toEqual(["failed", "name_collision"]);
  expect(lost.shown.error_message).toContain(join(two.models, NAME));
  // It leaves nothing behind, and gets a name of its own when it is tried again.
  expect(partials(two.models)).toEqual([]);
  await lost.daemon.must("POST", `/v1/downloads/${lost.shown.id}/retry`);
  const done = await lost.daemon.until(lost.shown.id, "completed");
  expect(done.local_path).toBe(join(two.models, "model-2.gguf"));
  expect(await sha256File(done.local_path!)).toBe(lost.origin.sha256(`/${NAME}`));
  expect(await sha256File(join(two.models, NAME))).toBe(won.origin.sha256(`/${NAME}`));
}, 60_000);

test("F110 one service cleans up after itself only: the other's partial file stays", async () => {
  using dir = tempDir("neighbours-clean");
  await using origin = await served(1);
  await using two = await twoOn(dir.path);
  origin.limits.ratePerConnection = 1_000_000;
  const request = { url: origin.url(`/${NAME}`), sha256: origin.sha256(`/${NAME}`) };
  const [a, b] = await bothMoving([two.first, request], [two.second, request]);
  expect(partials(two.models)).toHaveLength(2);
  await two.first.must("POST", `/v1/downloads/${a}/cancel`);
  await two.first.until(a, "cancelled");
  await two.first.restart();
  expect(partials(two.models)).toHaveLength(1);
  origin.limits.ratePerConnection = 50_000_000;
  const done = await two.second.until(b, "completed");
  expect(await sha256File(done.local_path!)).toBe(request.sha256);
  expect(origin.sent()).toBeLessThan(2.5 * SIZE);
}, 60_000);
