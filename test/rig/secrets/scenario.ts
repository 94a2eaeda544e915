import { writeFileSync } from "node:fs";
import { cleanEnv, type Daemon, runExecutable } from "../../support/daemon.ts";
import { between } from "../../support/random.ts";
import { getText, rawRequest } from "../../support/raw.ts";
import { until } from "../../support/until.ts";
import type { Place, Plants } from "./plant.ts";
import { FILE, PROXIED, REPO, type World } from "./world.ts";

export interface Cast {
  world: World;
  daemon: Daemon;
  plants: Plants;
  key: string;
  dir: string;
  next: () => number;
  /** Everything the daemon has answered. */
  said: string[];
}

const ENDED = new Set(["completed", "failed", "cancelled"]);

/** Requests of every kind that carry secrets; answers the ids of the downloads that must end well. */
export async function begin(cast: Cast): Promise<string[]> {
  const { world, plants, next } = cast;
  const { origin } = world;
  const signature = plants.plant("signed query", "origin");
  const headers = {
    "X-Secret": plants.plant("request header", "origin"),
    Cookie: `session=${plants.plant("request cookie", "origin")}`,
    Authorization: `Bearer ${plants.plant("request authorization", "origin")}`,
  };
  const signed = (path: string): string =>
    `${origin.url(path)}?X-Amz-Signature=${signature}&token=${signature}`;
  const basic = plants.plant("userinfo of a URL");
  const once = { retry: { max_attempts: 1 } };
  const requests: Record<string, object> = {
    good: { repo_id: REPO, filename: FILE },
    bad: { repo_id: REPO, filename: "config.json", token: world.rejected },
    signed: { url: signed("/m.gguf"), headers },
    engine: { url: signed("/engine.gguf"), engine: { engine_id: "engine", load_immediately: true } },
    gone: { url: signed("/gone.gguf"), headers, ...once },
    moved: { url: origin.url("/moved.gguf"), headers },
    lost: { url: origin.url("/lost.gguf"), headers, ...once },
    guarded: { url: signed("/guarded.gguf"), headers, ...once },
    proxied: { url: `${PROXIED}/proxied.gguf` },
    userinfo: { url: `http://ada:${basic}@127.0.0.1:${origin.port}/m.gguf` },
    scheme: { url: `ftp://ada:${basic}@127.0.0.1/x?token=${basic}` },
    broken: { url: signed("/m.gguf"), headers: { "X-Bad\n": basic }, token: 7 },
    forbidden: { url: `http://10.0.0.1/x?token=${basic}`, token: basic },
  };
  const order = Object.entries(requests)
    .map((entry) => ({ entry, at: next() }))
    .sort((a, b) => a.at - b.at);
  for (const { entry } of order)
    await say(cast, "POST", "/v1/downloads", { model_id: entry[0], ...entry[1] });
  return ["good", "signed", "engine", "moved", "proxied"];
}

/** The other families, and what is no request at all. */
export async function aside(cast: Cast): Promise<void> {
  const { world, plants, daemon, key } = cast;
  const odd = plants.plant("malformed request");
  await say(cast, "POST", "/engines", {
    engine_id: "e2",
    model_path: `hf:${REPO}/config.json`,
    token: world.engine,
  });
  await say(cast, "POST", "/models", {
    model_id: "m2",
    model_path: `ftp://x:${odd}@host/?k=${odd}`,
    model_type: "llm",
  });
  await say(cast, "POST", "/v1/references", {
    references: [`https://x:${odd}@host/a?sig=${odd}`],
  });
  await say(cast, "POST", "/v1/session", { key: plants.plant("wrong key") });
  await say(cast, "PATCH", "/v1/settings", { token: odd, retry: odd });
  await say(cast, "POST", "/local/download", { repo_id: { token: odd }, filename: 7 });
  await say(cast, "GET", `/v1/downloads?api_key=${odd}&limit=${odd}`);
  await say(
    cast,
    "GET",
    `/api/progress?ModelRepo=${REPO}&FilePath=${FILE}&token=${odd}`,
    undefined,
    JSON_ONLY,
  );
  await say(cast, "GET", `/v1/sources/huggingface/files?repo=${REPO}`, undefined, {
    "X-Hub-Token": world.picker,
  });
  await say(cast, "GET", "/v1/downloads", undefined, { "X-API-Key": plants.plant("another wrong key") });
  const query = new URLSearchParams({ provider: "huggingface", model: REPO, token: world.abstract });
  await say(cast, "GET", `/api/models/download?${query}`);
  for (const text of [`{"url":"http://x/?k=${odd}", "token":"${odd}"`, `{"token": ${odd}}`, `"${odd}"`])
    await sayRaw(cast, text);
  const port = Number(new URL(daemon.base).port);
  const garbage = [`GET /${odd} HTTP/9\r\n\r\n`, `${odd}\r\n\r\n`, getText("/health", { Host: odd })];
  for (const text of garbage) cast.said.push((await rawRequest(port, text)).text);
  const login = await daemon.api("POST", "/v1/session", { key });
  const cookie = /modelhaul_session=([^;]+)/.exec(login.headers.get("set-cookie") ?? "")?.[1];
  plants.keep("session cookie", cookie ?? "");
}

const JSON_ONLY = { Accept: "application/json" };

/** Frames with secrets, some of them none. */
export function frames(cast: Cast, send: (text: string) => void): void {
  const secret = cast.plants.plant("WebSocket frame");
  const { origin } = cast.world;
  send(`{"type":"start","ref":1,"body":{"url":"ftp://h/?k=${secret}","token":"${secret}"}}`);
  send(`{"type":"start","ref":2,"body":{"token":"${secret}"`);
  send(`{"type":"${secret}"}`);
  const url = `${origin.url("/gone-too.gguf")}?sig=${cast.plants.plant("signed query of a frame", "origin")}`;
  send(
    JSON.stringify({ type: "start", ref: 3, body: { url, model_id: "frame", retry: { max_attempts: 1 } } }),
  );
}

/** Everything the daemon can be asked about what it has done. */
export async function read(cast: Cast): Promise<void> {
  const paths = [
    "/v1/downloads?state=all",
    "/downloads",
    "/v1/files",
    "/v1/settings",
    "/metrics",
    "/health",
    "/engines",
    "/engines/engine/log",
    "/models",
    "/v1/storage",
    "/api/progress",
  ];
  for (const path of paths) await say(cast, "GET", path);
  const { active_downloads } = await cast.daemon.must("GET", "/v1/downloads?state=all");
  for (const { id } of active_downloads)
    for (const path of [`/v1/downloads/${id}`, `/download-progress/${id}`]) await say(cast, "GET", path);
}

/** The command line as a user has it: with the key and a token in files or in the environment. */
export async function command(cast: Cast): Promise<Place[]> {
  const { daemon, dir, world, key } = cast;
  // Beside the folder that is searched: the user's own doing.
  const file = `${dir}-token`;
  writeFileSync(file, `${world.pulled}\n`, { mode: 0o600 });
  const env = cleanEnv(dir, { MODELHAUL_API_KEY: key });
  const server = ["--server", daemon.base];
  const runs = [
    ["list", "--all", "--json", ...server],
    ["status", "signed", ...server],
    ["files", ...server],
    ["pull", `hf:${REPO}/config.json`, "--token-file", file, "--json", ...server],
    ["pull", `http://x:${cast.plants.plant("userinfo on the command line")}@h/m`, ...server],
  ];
  const places: Place[] = [];
  for (const args of runs) {
    const { out, err } = await runExecutable(args, env);
    places.push({ name: `output of ${args[0]}`, content: Buffer.from(out + err) });
  }
  return places;
}

/** Waits for all to end; those named have to be completed. */
export async function end({ daemon }: Cast, wanted: readonly string[]): Promise<string[]> {
  const { active_downloads } = await daemon.must("GET", "/v1/downloads?state=all");
  const bad: string[] = [];
  for (const { model_id } of active_downloads) {
    const { state, error_message } = await daemon.until(model_id, (it) => ENDED.has(it.state), 60_000);
    if (wanted.includes(model_id) && state !== "completed")
      bad.push(`${model_id}: ${state} ${error_message}`);
  }
  const known = active_downloads.map(({ model_id }: { model_id: string }) => model_id);
  return [...bad, ...wanted.filter((id) => !known.includes(id)).map((id) => `${id} is not there`)];
}

/** A kill in the middle of the transfers, and the same daemon again. */
export async function crash({ daemon, next }: Cast): Promise<void> {
  await until(async () => {
    const { state, progress } = await daemon.one("signed");
    return ENDED.has(state) || progress.downloaded_bytes > 500_000;
  }, "bytes to arrive");
  await Bun.sleep(between(next, 0, 200));
  await daemon.kill();
  await daemon.start();
}

async function say(
  { daemon, said }: Cast,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<void> {
  const answer = await daemon.api(method, path, body, headers);
  said.push(`${answer.status}`, JSON.stringify([...answer.headers]), JSON.stringify(answer.body));
}

/** A body that is no JSON, or not what the route takes. */
async function sayRaw({ daemon, said, key }: Cast, text: string): Promise<void> {
  const answer = await fetch(`${daemon.base}/v1/downloads`, {
    method: "POST",
    headers: { "X-API-Key": key, "Content-Type": "application/json" },
    body: text,
  });
  said.push(await answer.text());
}
