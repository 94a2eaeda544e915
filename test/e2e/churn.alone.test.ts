/** What comes and goes leaves nothing behind. Figures of longer runs are those of the rig. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { startCrowd } from "../rig/crowd/index.ts";
import { descriptors, residentMib } from "../rig/gauge.ts";
import { type Daemon, startDaemon } from "../support/daemon.ts";
import { startOrigin } from "../support/origin.ts";
import { tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(180_000);

const ROUND = 1_000;
/** Rows and their events stay in the history; what a garbage collected process differs by comes on top. */
const MOST_MIB = 24;

test("F226 downloads that are added and cancelled at once leave no descriptor, no file and no memory behind", async () => {
  using dir = tempDir("churn");
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 1, size: 8 << 20 }] });
  origin.on({}, { kind: "rate", bytesPerSecond: 64 << 10 });
  await using daemon = await startDaemon({ dir: dir.path, args: ["--max-concurrent", "8"] });
  const churn = async (round: number): Promise<void> => {
    let next = 0;
    const lane = async (): Promise<void> => {
      for (let i = next++; i < ROUND; i = next++) {
        const { id } = await daemon.begin({ url: `${origin.url("/m.bin")}?${round}-${i}` });
        await daemon.must("POST", `/v1/downloads/${id}/cancel`);
      }
    };
    await Promise.all(Array.from({ length: 8 }, lane));
    await daemon.must("DELETE", "/v1/history");
  };
  let rounds = 0;
  const growth = async (): Promise<number> => {
    const before = residentMib(daemon.pid);
    for (const last = rounds + 3; rounds < last; ) await churn(++rounds);
    return residentMib(daemon.pid) - before;
  };
  while (rounds < 2) await churn(++rounds);
  const open = descriptors(daemon.pid);
  // A heap goes up and down by itself; what each download leaves behind makes it grow every time.
  let grown = await growth();
  for (let more = 0; grown >= MOST_MIB && more < 2; more++) grown = await growth();
  expect(grown).toBeLessThan(MOST_MIB);
  await until(() => descriptors(daemon.pid) <= open + 5, "the descriptors to be given back");
  expect([...new Bun.Glob("**/*.part").scanSync({ cwd: daemon.modelsDir, dot: true })]).toEqual([]);
});

test("F234 rounds of everything, faults and restarts among it, end with the descriptors of the first", async () => {
  using dir = tempDir("soak");
  await using origin = await startOrigin({
    resources: [{ path: "/m.bin", seed: 1, size: 1 << 20 }],
    ratePerConnection: 8 << 20,
  });
  origin.on({ nth: { from: 1, every: 3 } }, { kind: "cut", at: 300_000 });
  origin.on(
    { nth: { from: 2, every: 5 } },
    { kind: "respond", status: 503, headers: { "Retry-After": "0" } },
  );
  await using daemon = await startDaemon({ dir: dir.path, args: ["--linger", "0"] });
  const after: number[] = [];
  for (let round = 0; round < 4; round++) {
    await roundOfEverything(daemon, `${origin.url("/m.bin")}?${round}`);
    after.push(await atRest(daemon));
    // The same process goes on for two rounds: what it has left behind would be seen in the second.
    if (round === 1) await daemon.kill().then(() => daemon.start());
  }
  expect(after[1]!).toBeLessThanOrEqual(after[0]! + 3);
  expect(after[3]!).toBeLessThanOrEqual(after[2]! + 3);
});

async function roundOfEverything(daemon: Daemon, url: string): Promise<void> {
  await using crowd = await startCrowd(Number(new URL(daemon.base).port));
  for (const transport of ["sse", "ws"] as const) await crowd.ask("open", "all", transport, 50);
  const begun = await Promise.all(Array.from({ length: 20 }, (_, i) => daemon.begin({ url: `${url}-${i}` })));
  for (const [i, { id }] of begun.entries()) {
    // Whatever has ended by itself meanwhile refuses, which is as good.
    if (i % 4 === 1) await daemon.api("POST", `/v1/downloads/${id}/cancel`);
    if (i % 4 === 2) await daemon.api("POST", `/v1/downloads/${id}/pause`);
    if (i % 4 === 2) await daemon.api("POST", `/v1/downloads/${id}/resume`);
  }
  const left = begun.filter((_, i) => i % 4 !== 1);
  await Promise.all(left.map(({ id }) => daemon.until(id, "completed", 60_000)));
  await daemon.must("DELETE", "/v1/history?files=true");
}

/** Descriptors once they do not change any more. */
async function atRest(daemon: Daemon): Promise<number> {
  let [last, same] = [-1, 0];
  await until(
    () => {
      const now = descriptors(daemon.pid);
      same = now === last ? same + 1 : 0;
      last = now;
      return same >= 10;
    },
    "the descriptors to come to rest",
    { timeoutMs: 30_000, everyMs: 100 },
  );
  return last;
}
