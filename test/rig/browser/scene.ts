import { gguf, LLAMA } from "../../engines/support.ts";
import { literal } from "../../support/bytes.ts";
import { type Daemon, startDaemon } from "../../support/daemon.ts";
import { startOrigin } from "../../support/origin.ts";
import { ALLOWED_HOST, ALLOWED_ORIGIN } from "./matrix.ts";
import { CANARY, type Prey } from "./targets.ts";
import { fingerprint } from "./walk.ts";

export type World = Awaited<ReturnType<typeof startWorld>>;

/** Where the prey comes from, and where a request that got through would ask. */
export async function startWorld() {
  const origin = await startOrigin({
    resources: [{ path: "/model.gguf", content: literal(gguf({ pairs: LLAMA })) }],
  });
  return { origin, [Symbol.asyncDispose]: () => origin.stop() };
}

/** A daemon at rest with one download of every kind, a file and an engine, all of them named by the canary. */
export async function setUp(
  { origin }: World,
  dir: string,
  apiKey?: string,
): Promise<{ daemon: Daemon; prey: Prey }> {
  const inside = ["--allow-address", "127.0.0.0/8"];
  const daemon = await startDaemon({
    dir,
    args: ["--allow-host", ALLOWED_HOST, "--cors-origin", ALLOWED_ORIGIN, "--linger", "1h", ...inside],
    env: { HF_ENDPOINT: origin.base, ...(apiKey && { MODELHAUL_API_KEY: apiKey }) },
    ...(apiKey && { apiKey }),
  });
  const [done, engine, victim] = [`${CANARY}-done`, `${CANARY}-engine`, `${CANARY}-victim`];
  const { id } = await daemon.begin({
    url: origin.url("/model.gguf"),
    model_id: done,
    engine: { engine_id: engine, load_immediately: false },
  });
  await daemon.until(id, "completed");
  await daemon.must("PATCH", "/v1/settings", { paused: true });
  const { id: victimId } = await daemon.begin({ url: origin.url("/victim.bin"), model_id: victim });
  const { files } = await daemon.must("GET", "/v1/files");
  const url = origin.url("/evil.bin");
  return { daemon, prey: { victim, victimId, done, fileId: files[0].id, engine, url } };
}

/** The positive control: the same requests from where they may come from do change something. Answers how many did. */
export async function allowedEffects(daemon: Daemon, prey: Prey): Promise<string[]> {
  const asked: [method: string, path: string, body?: object][] = [
    ["POST", "/v1/downloads", { url: prey.url }],
    ["PATCH", `/v1/downloads/${prey.victimId}`, { priority: 77 }],
    ["POST", `/downloads/${prey.victimId}/pause`],
    ["POST", `/v1/downloads/${prey.victimId}/resume`],
    ["GET", "/api/download?ModelRepo=evil/model&FilePath=m.gguf"],
    ["POST", "/local/download", { repo_id: "evil/model", filename: "local.gguf" }],
    ["POST", "/engines", { engine_id: "evil-engine", model_path: `${prey.url}?engine` }],
    ["DELETE", `/engines/${prey.engine}`],
    ["DELETE", `/v1/files/${prey.fileId}`],
    ["DELETE", `/v1/history/${prey.done}`],
    ["POST", "/v1/downloads/cancel"],
    ["PATCH", "/v1/settings", { max_concurrent: 7 }],
  ];
  const ineffective: string[] = [];
  for (const [method, path, body] of asked) {
    const before = await fingerprint(daemon);
    const { status } = await daemon.api(method, path, body, { Origin: "http://localhost:3000" });
    if ((await fingerprint(daemon)) === before) ineffective.push(`${method} ${path} -> ${status}`);
  }
  return ineffective;
}
