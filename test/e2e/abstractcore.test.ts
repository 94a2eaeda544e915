import { expect, setDefaultTimeout, test } from "bun:test";
import { EventClient } from "../api/event-client.ts";
import { startDaemon } from "../support/daemon.ts";
import { ggufRepo, startHub } from "../support/hub.ts";
import { tempDir } from "../support/temp.ts";
import { filesBelow, sha256File } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(60_000);

const REPO = "acme/big-gguf";
const MIB = 1 << 20;

test("R168 R184 A25 a listener comes back after kill -9 and hears the rest, without a step back", async () => {
  using dir = tempDir("abstractcore");
  await using hub = await startHub({
    repos: [ggufRepo(REPO, { quantizations: { Q4_K_M: 12 * MIB } })],
    cdnLimits: { rateTotal: 6 * MIB },
  });
  const env = { HF_ENDPOINT: hub.endpoint, HF_HOME: dir.at("hf") };
  await using daemon = await startDaemon({ dir: dir.path, env });
  const path = `/api/models/download?provider=huggingface&model=${REPO}`;
  const first = await EventClient.open(daemon.base + path);
  const { data } = await first.waitFor(({ data: { percent } }) => percent > 20);
  await daemon.kill();
  await first.whenEnded();
  const seen = first.messages.at(-1);
  await daemon.start();
  const second = await EventClient.open(daemon.base + path, { "Last-Event-ID": seen?.id ?? "" });
  await second.whenEnded(30_000);
  const events = second.messages.map((message) => message.data);
  expect(events.at(-1)).toEqual({ done: true });
  const percents = [seen?.data, ...events].map(({ percent }) => percent).filter((one) => one !== undefined);
  expect(percents).toEqual(percents.toSorted((a, b) => a - b));
  expect(events.slice(1, -1).every(({ id }) => id === data.id)).toBe(true);
  const blob = filesBelow(dir.at("hf", "hub")).find((file) =>
    file.endsWith(hub.repo(REPO).file("big-Q4_K_M.gguf").sha256),
  );
  expect(await sha256File(dir.at("hf", "hub", blob ?? "missing"))).toBe(
    hub.repo(REPO).file("big-Q4_K_M.gguf").sha256,
  );
  const sent = hub.cdn.sent(hub.cdnPath(REPO, "big-Q4_K_M.gguf"));
  expect(sent).toBeLessThan(15 * MIB);
});
