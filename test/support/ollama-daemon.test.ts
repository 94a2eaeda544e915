import { expect, test } from "bun:test";
import { sha256 } from "./ollama/models.ts";
import { type OllamaDaemon, startOllamaDaemon } from "./ollama-daemon.ts";

const MB = 1 << 20;
const models = [{ name: "three", layers: [3 * MB, MB, 1429] }];

async function pull(daemon: OllamaDaemon, model = "three") {
  const answer = await fetch(`${daemon.url}/api/pull`, { method: "POST", body: JSON.stringify({ model }) });
  const text = await answer.text();
  return {
    status: answer.status,
    lines: text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
  };
}

test("a pull tells its layers one after another, the second one that all is there", async () => {
  await using daemon = await startOllamaDaemon({ models, rate: 100 * MB });
  const { lines } = await pull(daemon);
  const [first, second, third] = daemon.layers("three").map(({ digest }) => digest);
  expect(lines[0]).toEqual({ status: "pulling manifest" });
  expect(lines[1]).toEqual({ status: `pulling ${first!.slice(7, 19)}`, digest: first, total: 3 * MB });
  const digests = lines.flatMap((line) => line.digest ?? []);
  expect([...new Set(digests)]).toEqual([first, second, third]);
  expect(lines.slice(-3).map((line) => line.status)).toEqual([
    "verifying sha256 digest",
    "writing manifest",
    "success",
  ]);
  const again = await pull(daemon, "three:latest");
  expect(again.lines.filter((line) => line.digest).every((line) => line.completed === line.total)).toBe(true);
  const { models: listed } = await (await fetch(`${daemon.url}/api/tags`)).json();
  expect(listed[0].name).toBe("three:latest");
});

test("what it does on order: errors before and after the head, falling bytes, cuts, silence", async () => {
  await using daemon = await startOllamaDaemon({ models, rate: 100 * MB });
  daemon.on({ nth: 1 }, { kind: "error", at: "start", text: "no" });
  expect(await pull(daemon)).toEqual({ status: 500, lines: [{ error: "no" }] });
  daemon.on({ times: 1 }, { kind: "error", at: MB, text: "late" });
  const late = await pull(daemon);
  expect([late.status, late.lines.at(-1)]).toEqual([200, { error: "late" }]);
  expect(daemon.blobs.get(daemon.layers("three")[0]!.digest)).toBe(MB);
  daemon.on({ times: 1 }, { kind: "fall", at: 2 * MB, by: MB }, { kind: "pieces", bytes: 7 });
  const completed = (await pull(daemon)).lines.map((line) => line.completed ?? 0);
  expect(completed.some((one, i) => one > (completed[i + 1] ?? 0) && completed[i + 1] === MB)).toBe(true);
  daemon.blobs.clear();
  daemon.on({ times: 1 }, { kind: "cut", at: MB });
  await expect(pull(daemon)).rejects.toThrow();
  expect(daemon.pulls.at(-1)!.outcome).toBe("cut");
  const stop = new AbortController();
  const hang = daemon.on({ times: 1 }, { kind: "hang", at: "verifying" });
  const hanging = fetch(`${daemon.url}/api/pull`, {
    method: "POST",
    body: '{"model":"three"}',
    signal: stop.signal,
  }).then((answer) => answer.text());
  await daemon.waitFor(
    () => daemon.pulls.at(-1)?.lines.at(-1)?.includes("verifying") === true,
    "the verifying line",
  );
  stop.abort();
  await expect(hanging).rejects.toThrow();
  await daemon.waitFor(() => daemon.pulls.at(-1)!.outcome === "gone", "the daemon to notice");
  hang.remove();
});

test("a file is uploaded and made a model", async () => {
  await using daemon = await startOllamaDaemon();
  const bytes = Buffer.from("GGUF and the rest");
  const digest = `sha256:${sha256(bytes)}`;
  const url = `${daemon.url}/api/blobs/${digest}`;
  const status = async (method: string, body?: Uint8Array<ArrayBuffer>) =>
    (await fetch(url, { method, body })).status;
  expect(await status("HEAD")).toBe(404);
  expect(await status("POST", Buffer.from("other"))).toBe(400);
  expect(await status("POST", bytes)).toBe(201);
  expect([await status("HEAD"), await status("POST", bytes)]).toEqual([200, 200]);
  const post = (path: string, body: object) =>
    fetch(daemon.url + path, { method: "POST", body: JSON.stringify(body) });
  const made = await post("/api/create", { model: "mine", files: { "m.gguf": digest } });
  expect((await made.text()).trim().split("\n").at(-1)).toBe('{"status":"success"}');
  expect((await post("/api/show", { model: "mine:latest" })).status).toBe(200);
  expect((await post("/api/show", { model: "other" })).status).toBe(404);
  daemon.createErrors.push("no room");
  const failed = await post("/api/create", { model: "x", files: { "m.gguf": digest } });
  expect((await failed.text()).trim().split("\n").at(-1)).toBe('{"error":"no room"}');
});
