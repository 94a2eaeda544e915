import { expect, test } from "bun:test";
import { residentMib } from "../rig/gauge.ts";
import { type Daemon, type Shown, startDaemon } from "../support/daemon.ts";
import { smallFilesRepo, startHub } from "../support/hub.ts";
import { tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";
import { partials } from "./support.ts";

const FILES = 50_000;
const REPO = "acme/huge";
/** What is known of each file, several times over while it is planned, and what a garbage collected process differs by. */
const MOST_MORE_MIB = 500;

/** As in the list, which leaves out the files. */
async function listed(daemon: Daemon, modelId: string): Promise<Shown | undefined> {
  const { active_downloads } = await daemon.must("GET", "/v1/downloads?state=all");
  return active_downloads.find(({ model_id }: Shown) => model_id === modelId);
}

test("F225 a repository of fifty thousand files takes bounded memory, is soon cancelled, and a stop loses nothing", async () => {
  await using hub = await startHub({ repos: [smallFilesRepo(REPO, FILES)] });
  // The first ones arrive, then nothing moves.
  const stalled = hub.origin.on(
    { path: "*/resolve/*", nth: { from: 100, every: 1 } },
    { kind: "stall", at: "start" },
  );
  using dir = tempDir("huge");
  await using daemon = await startDaemon({ dir: dir.path, env: { HF_ENDPOINT: hub.endpoint } });
  const idle = residentMib(daemon.pid);
  using events = await daemon.events();
  const begun = async (model_id: string): Promise<void> => {
    const before = stalled.hits;
    await daemon.begin({ repo_id: REPO, model_id });
    await events.next(({ data }) => {
      const it = data.download;
      return it?.model_id === model_id && it.files_total === FILES + 1 && it.state === "downloading";
    });
    await hub.origin.waitFor(() => stalled.hits > before, "files to be asked for", 60_000);
  };

  /** Long before so many folders could have been looked at one by one. */
  const cancelled = async (model_id: string): Promise<void> => {
    await daemon.must("POST", `/v1/downloads/${model_id}/cancel`);
    const state = async () => (await listed(daemon, model_id))?.state;
    await until(async () => (await state()) === "cancelled", `${model_id} to be cancelled`, {
      timeoutMs: 20_000,
    });
  };

  // While it is still being listed there is nothing to be taken back.
  await daemon.begin({ repo_id: REPO, model_id: "listed" });
  await hub.origin.waitFor(({ log }) => log.some(({ path }) => path.includes("/tree/")), "the listing");
  await cancelled("listed");

  await begun("planned");
  expect(residentMib(daemon.pid) - idle).toBeLessThan(MOST_MORE_MIB);
  await cancelled("planned");
  expect(partials(daemon.modelsDir)).toEqual([]);

  await begun("stopped");
  await daemon.stop();
  expect(daemon.story()).not.toContain("stopped before everything had let go");
  await daemon.start();
  expect((await listed(daemon, "stopped"))?.files_total).toBe(FILES + 1);
  await cancelled("stopped");
}, 180_000);
