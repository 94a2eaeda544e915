import { expect, test } from "bun:test";
import { type Shown, startDaemon } from "../support/daemon.ts";
import { tempDir } from "../support/temp.ts";
import { filesBelow, sha256File, startHubByHand } from "./support.ts";

const SIZE = 24 << 20;

/** Progress as one observer saw it. */
type Steps = { state: string; bytes: number }[];

const step = (it: Shown): Steps[number] => ({ state: it.state, bytes: it.progress.downloaded_bytes });

/** It grew, it never fell, and it ended complete. */
function expectWhole(steps: Steps): void {
  const bytes = steps.map((it) => it.bytes);
  expect(bytes).toEqual([...bytes].sort((a, b) => a - b));
  expect(bytes.filter((it) => it > 0 && it < SIZE).length).toBeGreaterThan(1);
  expect(steps.some((it) => it.state === "downloading")).toBe(true);
  expect(steps.at(-1)).toEqual({ state: "completed", bytes: SIZE });
}

test("R48 a fresh start downloads from a hub, and polling, SSE and a WebSocket each show it progressing and ending", async () => {
  using dir = tempDir("first");
  await using hub = await startHubByHand("--size", String(SIZE), "--rate", "4MB");
  await using daemon = await startDaemon({ dir: dir.path, env: { HF_ENDPOINT: hub.endpoint } });
  using events = await daemon.events();
  using socket = await daemon.ws();
  socket.send({ type: "subscribe", ref: 1 });
  await socket.next((frame) => frame.type === "reply" && frame.ref === 1 && frame.ok);

  const answer = await daemon.api("POST", "/v1/downloads", {
    repo_id: "acme/big-gguf",
    filename: "big-Q4_K_M.gguf",
  });
  expect(answer.status).toBe(202);
  const { id } = answer.body as Shown;
  expect(answer.headers.get("location")).toBe(`/v1/downloads/${id}`);

  const polled: Steps = [];
  const done = await daemon.until(id, (it) => {
    polled.push(step(it));
    return it.state === "completed";
  });
  const ended = (it: { type: string; download?: Shown }): boolean =>
    it.type === "download" && it.download?.id === id && it.download.state === "completed";
  await events.next(({ data }) => ended(data));
  await socket.next(ended);

  expectWhole(polled);
  expectWhole(events.all.filter(({ type }) => type === "download").map(({ data }) => step(data.download)));
  expectWhole(socket.all.filter(({ type }) => type === "download").map(({ download }) => step(download)));
  const ids = events.all.map((it) => it.id);
  expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));

  const tree = await fetch(`${hub.endpoint}/api/models/acme/big-gguf/tree/main`);
  const listed = (await tree.json()) as { path: string; lfs?: { oid: string } }[];
  expect(await sha256File(done.local_path!)).toBe(
    listed.find((it) => it.path === "big-Q4_K_M.gguf")!.lfs!.oid,
  );
  expect(filesBelow(daemon.modelsDir)).toEqual(["acme/big-gguf/big-Q4_K_M.gguf"]);
  await daemon.stop();
}, 60_000);
