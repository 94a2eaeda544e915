/** The built executable against the test hub, from outside: REST and SSE with curl, a kill in the middle, the page. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Lines } from "../test/support/until.ts";

const executable = resolve(process.argv[2] ?? "dist/modelhaul");
const dir = mkdtempSync(join(tmpdir(), "modelhaul-smoke-"));
const children: Bun.Subprocess[] = [];
let passed = 0;
let failed = 0;

function spawn(command: string[], env: Record<string, string> = {}) {
  const child = Bun.spawn(command, { env: { ...process.env, ...env }, stdout: "pipe", stderr: "inherit" });
  children.push(child);
  return child;
}

function check(what: string, holds: boolean, detail: unknown = ""): void {
  console.log(`${holds ? "ok  " : "FAIL"} ${what}${holds ? "" : `: ${JSON.stringify(detail)}`}`);
  if (holds) passed += 1;
  else failed += 1;
}

/** Body of a curl call; throws with curl's own message. */
async function curl(...args: string[]): Promise<string> {
  const run = Bun.spawn(["curl", "-sS", "--fail-with-body", "--max-time", "30", ...args], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([new Response(run.stdout).text(), new Response(run.stderr).text()]);
  if ((await run.exited) !== 0) throw new Error(`curl ${args.at(-1)}: ${err.trim()} ${out.slice(0, 300)}`);
  return out;
}

const json = async (...args: string[]) => JSON.parse(await curl(...args));

async function startHub(): Promise<{ endpoint: string }> {
  const child = spawn([
    process.execPath,
    "test/support/hub-cli.ts",
    "--json",
    "--port",
    "0",
    "--cdn-port",
    "0",
    "--rate",
    "4MB",
    "--size",
    "96MB",
  ]);
  return JSON.parse(await new Lines(child.stdout).waitFor(/^\{/));
}

async function startDaemon(endpoint: string) {
  const serve = [
    "serve",
    "--listen",
    "127.0.0.1:0",
    "--data-dir",
    join(dir, "data"),
    "--models-dir",
    join(dir, "models"),
  ];
  const child = spawn([executable, ...serve, "--log-level", "warning"], { HF_ENDPOINT: endpoint, HOME: dir });
  const line = await new Lines(child.stdout).waitFor(/^listening on /);
  return { child, base: line.replace("listening on ", "") };
}

interface Seen {
  state: string;
  progress: { downloaded_bytes: number; total_bytes: number };
}

/** Reads `curl -N` on the event stream until `done` says so; answers what it has seen. */
async function watch(base: string, id: string, done: (download: Seen) => boolean): Promise<Seen[]> {
  const child = spawn(["curl", "-sSN", "--max-time", "120", `${base}/v1/downloads/${id}/events`]);
  const seen: Seen[] = [];
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      const data = /^data: (.*)$/m.exec(event)?.[1];
      if (data === undefined) continue;
      const frame = JSON.parse(data);
      seen.push(...(frame.downloads ?? (frame.download ? [frame.download] : [])));
      const last = seen.at(-1);
      if (last === undefined || !done(last)) continue;
      child.kill();
      return seen;
    }
  }
  throw new Error("the event stream ended too early");
}

async function main(): Promise<void> {
  check("version", /^modelhaul \d+\.\d+\.\d+$/.test((await Bun.$`${executable} version`.text()).trim()));
  const hub = await startHub();
  const first = await startDaemon(hub.endpoint);
  check("health", (await json(`${first.base}/health`)) !== null);
  const page = await curl("-i", first.base);
  check(
    "page with its policy",
    page.includes("<title>modelhaul</title>") && /content-security-policy: default-src 'none'/i.test(page),
  );
  const { paths } = await json(`${first.base}/openapi.json`);
  check("OpenAPI document", typeof paths === "object");
  const guide = await curl(`${first.base}/llms-full.txt`);
  const untold = Object.keys(paths).filter((path) => !guide.includes(path));
  check(
    "guide with the README and every route",
    guide.includes("\n## Providers\n") && untold.length === 0,
    untold,
  );

  const body = JSON.stringify({ repo_id: "acme/big-gguf", filename: "big-Q4_K_M.gguf" });
  const started = await json(
    "-X",
    "POST",
    `${first.base}/v1/downloads`,
    "-H",
    "content-type: application/json",
    "-d",
    body,
  );
  const half = await watch(
    first.base,
    started.id,
    ({ progress }) => progress.downloaded_bytes > progress.total_bytes / 3 && progress.total_bytes > 0,
  );
  first.child.kill("SIGKILL");
  await first.child.exited;
  const before = half.at(-1)?.progress.downloaded_bytes ?? 0;
  check("progress by SSE", half.length > 2 && before > 0, half.length);

  const second = await startDaemon(hub.endpoint);
  const rest = await watch(second.base, started.id, ({ state }) =>
    ["completed", "failed", "cancelled"].includes(state),
  );
  const least = Math.min(...rest.map(({ progress }) => progress.downloaded_bytes));
  check("completed after kill -9", rest.at(-1)?.state === "completed", rest.at(-1));
  check(
    "went on from where it was (8 connections of 4 MiB at most lost)",
    least >= before - 8 * 4 * 1024 ** 2 && least > 0,
    { before, least },
  );

  const { local_path: path } = await json(`${second.base}/v1/downloads/${started.id}`);
  const tree = await json(`${hub.endpoint}/api/models/acme/big-gguf/tree/main`);
  const promised = tree.find((file: { path: string }) => file.path === "big-Q4_K_M.gguf").lfs.oid;
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const chunk of Bun.file(path).stream()) hasher.update(chunk);
  check("SHA-256 as the hub promised", hasher.digest("hex") === promised, path);

  const since = performance.now();
  second.child.kill("SIGTERM");
  check(
    "SIGTERM: exit code 0 within 5 s",
    (await second.child.exited) === 0 && performance.now() - since < 6000,
  );
  const pull = spawn(
    [
      executable,
      "pull",
      "--quiet",
      "hf:acme/tiny-gguf/tiny-Q4_K_M.gguf",
      "--to",
      join(dir, "to"),
      "--data-dir",
      join(dir, "data"),
    ],
    { HF_ENDPOINT: hub.endpoint, HOME: dir },
  );
  const pulled = (await new Response(pull.stdout).text()).trim();
  check("pull without a daemon", (await pull.exited) === 0 && (await Bun.file(pulled).exists()), pulled);
}

try {
  await main();
} catch (error) {
  check("no error", false, error instanceof Error ? error.message : error);
} finally {
  for (const child of children) child.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
}
console.log(` ${passed} pass\n ${failed} fail`);
process.exit(failed === 0 ? 0 : 1);
