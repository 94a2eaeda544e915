import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { cleanEnv, runExecutable, startDaemon } from "../support/daemon.ts";
import { ggufRepo, startHub } from "../support/hub.ts";
import { startOrigin } from "../support/origin.ts";
import { tempDir } from "../support/temp.ts";
import { filesBelow } from "./support.ts";

const KEY = "planted-api-key-5d1c";
const HEADER = "planted-header-77aa";
const SIGNATURE = "planted-signature-09be";

test("I7 no token, key, header or signature is in the data, the log, an answer or an event, failures included", async () => {
  const repo = "acme/gated-gguf";
  using dir = tempDir("secrets");
  await using hub = await startHub({
    repos: [{ ...ggufRepo(repo, { quantizations: { Q4_K_M: 4 << 20 } }), gated: "manual" }],
    cdnLimits: { ratePerConnection: 4_000_000 },
  });
  const granted = hub.addUser("ada", { access: { [repo]: "granted" } });
  const rejected = hub.addUser("bob", { access: { [repo]: "rejected" } });
  await using origin = await startOrigin({
    resources: [{ path: "/m.gguf", seed: 1, size: 6 << 20 }],
    ratePerConnection: 2_000_000,
  });
  const signed = (path: string): string =>
    `${origin.url(path)}?X-Amz-Signature=${SIGNATURE}&token=${SIGNATURE}`;

  // With a key, private addresses are closed.
  const allowed = ["127.0.0.0/8", "::1/128"].flatMap((it) => ["--allow-address", it]);
  await using daemon = await startDaemon({
    dir: dir.path,
    args: ["--log-level", "debug", "--log-format", "json", ...allowed],
    env: { HF_ENDPOINT: hub.endpoint, HF_TOKEN: granted, MODELHAUL_API_KEY: KEY },
    apiKey: KEY,
  });
  const said: string[] = [];
  const say = async (method: string, path: string, body?: unknown): Promise<void> => {
    const answer = await daemon.api(method, path, body);
    said.push(`${answer.status}`, JSON.stringify([...answer.headers]), JSON.stringify(answer.body));
  };
  using events = await daemon.events();
  using socket = await daemon.ws();
  socket.send({ type: "subscribe" });

  const file = "gated-Q4_K_M.gguf";
  const headers = { "X-Secret": HEADER, Cookie: `session=${HEADER}` };
  origin.on({ path: "/refused.gguf" }, { kind: "respond", status: 403, body: `token ${SIGNATURE}` });
  origin.on({ path: "/moved.gguf" }, { kind: "redirect", to: signed("/refused.gguf") });
  const requests = {
    good: { repo_id: repo, filename: file },
    bad: { repo_id: repo, filename: "config.json", token: rejected },
    signed: { url: signed("/m.gguf"), headers },
    gone: { url: signed("/gone.gguf"), headers, retry: { max_attempts: 1 } },
    moved: { url: origin.url("/moved.gguf"), headers },
    scheme: { url: `ftp://user:${SIGNATURE}@127.0.0.1/x?token=${SIGNATURE}` },
    broken: { url: signed("/m.gguf"), headers: { "X-Bad\n": HEADER }, token: 7 },
  };
  for (const [model_id, request] of Object.entries(requests))
    await say("POST", "/v1/downloads", { model_id, ...request });
  await daemon.until("signed", (it) => it.progress.downloaded_bytes > 1 << 20);
  // What has to be known again after a crash is kept, and still nowhere to be seen.
  await daemon.kill();
  await daemon.start();
  await daemon.until("signed", "completed");
  await daemon.until("good", "completed");
  for (const id of ["bad", "gone", "moved"]) await daemon.until(id, "failed");
  for (const path of ["/v1/downloads?state=all", "/v1/files", "/v1/settings", "/metrics", "/health"])
    await say("GET", path);
  for (const id of Object.keys(requests)) await say("GET", `/v1/downloads/${id}`);
  await say("GET", `/v1/sources/huggingface/files?repo=${encodeURIComponent(repo)}`);
  const list = await runExecutable(
    ["list", "--all", "--json", "--server", daemon.base],
    cleanEnv(dir.path, { MODELHAUL_API_KEY: KEY }),
  );
  expect(list.code).toBe(0);

  // They did reach those they were meant for.
  expect(hub.origin.log.some((it) => it.headers.authorization === `Bearer ${granted}`)).toBe(true);
  expect(hub.origin.log.some((it) => it.headers.authorization === `Bearer ${rejected}`)).toBe(true);
  expect(origin.requests("/m.gguf").every((it) => it.headers["x-secret"] === HEADER)).toBe(true);
  expect(origin.requests("/m.gguf").every((it) => it.query.includes(SIGNATURE))).toBe(true);
  expect(hub.cdn.log.filter((it) => it.headers.authorization !== undefined)).toEqual([]);

  const stored = filesBelow(daemon.dataDir).filter((it) => it !== "secrets.json");
  const places: Record<string, string> = {
    answers: said.join("\n"),
    events: JSON.stringify(events.all),
    frames: JSON.stringify(socket.all),
    "command line": list.out + list.err,
    ...Object.fromEntries(stored.map((it) => [it, readFileSync(join(daemon.dataDir, it), "latin1")])),
  };
  await daemon.stop();
  places.log = daemon.log.join("\n");
  expect(places.log).toContain("{");
  const leaks = Object.entries({ KEY, HEADER, SIGNATURE, granted, rejected }).flatMap(([name, secret]) =>
    Object.entries(places).flatMap(([place, text]) => {
      const at = text.indexOf(secret);
      return at < 0 ? [] : [`${name} in ${place}: ${text.slice(Math.max(0, at - 200), at)}`];
    }),
  );
  expect(leaks).toEqual([]);
}, 60_000);
