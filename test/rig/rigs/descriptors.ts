import { sha256File } from "../../e2e/support.ts";
import { Daemon } from "../../support/daemon.ts";
import { type OriginProcess, startOriginProcess } from "../../support/origin/process.ts";
import { tempDir } from "../../support/temp.ts";
import { until } from "../../support/until.ts";
import type { Rig } from "../rig.ts";
import { Crowd, descriptorsOf, processorSecondsOf, withDescriptors } from "../starved.ts";

const LIMIT = 256;
const CONNECTIONS = 4;
const NAMES = ["a", "b", "c", "d"].map((name) => `${name}.gguf`);
const RATE = 250_000;
const RECOVERY_MS = 2_000;
const LONGEST_MS = 120_000;
/** Percent. */
const MOST_SHARE = 30;

/** F113, G10: more clients than there are descriptors. */
export const descriptors: Rig = {
  name: "descriptors",
  title:
    "256 descriptors, 2 000 clients that connect and say nothing: the daemon lives, its downloads go on, and it answers again within two seconds of their leaving.",
  needs: { sh: "dash" },
  async run({ seed, isLong, rounds = isLong ? 10 : 1, say }) {
    const seconds = isLong ? 20 : 3;
    const seen = { most: 0, ended: 0, still: 0, share: 0, back: 0, wrong: 0, note: "" };
    const clients = isLong ? 2_000 : 600;
    for (let round = 1; round <= rounds; round++) {
      using dir = tempDir("rig-descriptors");
      const size = Math.ceil((seconds + 6) * CONNECTIONS * RATE);
      await using origin = await startOriginProcess({
        resources: NAMES.map((name, i) => ({ path: `/${name}`, seed: seed + i, size })),
        ratePerConnection: RATE,
      });
      const args = ["--connections", String(CONNECTIONS), "--max-concurrent", String(NAMES.length)];
      await using daemon = new Daemon({ dir: dir.path, args });
      await daemon.start(withDescriptors(LIMIT));
      const ids = await begun(daemon, origin);
      try {
        const starved = await starve(daemon, origin, clients, seconds);
        seen.most = Math.max(seen.most, starved.most);
        seen.share = Math.max(seen.share, starved.share);
        seen.back = Math.max(seen.back, starved.back);
        if (starved.bytes === 0) seen.still += 1;
        await origin.ask("limit", { ratePerConnection: 100 * RATE });
        for (const [i, id] of ids.entries()) {
          const done = await daemon.until(id, "completed", LONGEST_MS);
          const right = await origin.ask("sha256", `/${NAMES[i]}`);
          if ((await sha256File(done.local_path!)) !== right) seen.wrong += 1;
        }
      } catch (error) {
        seen.ended += 1;
        seen.note ||= `round ${round}: ${error}\n${daemon.story()}`;
      }
      if (isLong) say(`${round} of ${rounds} rounds`);
    }
    return [
      { what: "rounds", value: rounds, atLeast: 1, note: `${clients} clients, ${seconds} s each` },
      { what: "descriptors in use, at most", value: seen.most, atLeast: LIMIT - 64 },
      {
        what: "rounds that the daemon, or a download, did not survive",
        value: seen.ended,
        atMost: 0,
        ...(seen.note ? { note: seen.note } : {}),
      },
      { what: "rounds in which no byte arrived meanwhile", value: seen.still, atMost: 0 },
      {
        what: "processor time meanwhile, of one core",
        value: 100 * seen.share,
        unit: "%",
        ...(isLong ? { atMost: MOST_SHARE } : {}),
      },
      {
        what: "until it answered again",
        value: seen.back,
        unit: "ms",
        ...(isLong ? { atMost: RECOVERY_MS } : {}),
      },
      { what: "wrong files", value: seen.wrong, atMost: 0 },
    ];
  },
};

async function begun(daemon: Daemon, origin: OriginProcess): Promise<string[]> {
  const ids: string[] = [];
  for (const name of NAMES) {
    const sha256 = await origin.ask("sha256", `/${name}`);
    ids.push((await daemon.begin({ url: origin.url(`/${name}`), sha256 })).id);
  }
  for (const id of ids) await daemon.until(id, (it) => it.progress.downloaded_bytes > 0);
  return ids;
}

interface Starved {
  /** Descriptors in use. */
  most: number;
  /** Bytes that the origin could send meanwhile. */
  bytes: number;
  /** Processor time for each second. */
  share: number;
  /** Milliseconds from their leaving to an answer. */
  back: number;
}

async function starve(
  daemon: Daemon,
  origin: OriginProcess,
  clients: number,
  seconds: number,
): Promise<Starved> {
  const { pid } = daemon;
  let most = 0;
  let bytes = 0;
  let share = 0;
  {
    using crowd = new Crowd(daemon, clients);
    await until(() => crowd.connected >= Math.min(LIMIT, clients), "the crowd to be there");
    const before = {
      bytes: await origin.ask("sent"),
      processor: processorSecondsOf(pid),
      at: performance.now(),
    };
    for (let i = 0; i < 10 * seconds; i++) {
      most = Math.max(most, descriptorsOf(pid));
      await Bun.sleep(100);
    }
    const passed = (performance.now() - before.at) / 1000;
    bytes = (await origin.ask("sent")) - before.bytes;
    share = (processorSecondsOf(pid) - before.processor) / passed;
  }
  const left = performance.now();
  await until(async () => (await daemon.api("GET", "/health")).status === 200, "an answer", {
    timeoutMs: 30_000,
    everyMs: 10,
  });
  return { most, bytes, share, back: performance.now() - left };
}
