import { join } from "node:path";
import { startDaemon } from "../../support/daemon.ts";
import { until } from "../../support/until.ts";
import { makeFile } from "../content.ts";
import { type Contender, cleanEnv, compete, quantile, type Result, type Sample } from "../measure.ts";
import { aria2Options } from "../peers.ts";
import type { Row } from "../row.ts";
import { freePort, startNginx } from "../servers.ts";

/** The same file so often, one after the other, so that there is something to ask about for long enough. */
const TIMES = 3;
const PAUSE_MS = 5;

/** Row 11: how long the API takes to answer while a download runs at full speed. */
export const latency: Row = {
  titles: { 11: "answers of the API while a download runs at full speed" },
  needs: ["nginx"],
  async run(bench) {
    const root = join(bench.dir, "origin");
    const file = makeFile(root, "big.bin", 1, bench.size);
    await using nginx = await startNginx(bench.tools.nginx!, join(bench.dir, "nginx"), root);
    const urls = Array.from({ length: TIMES }, (_, i) => `${nginx.plain}/${file.name}?time=${i}`);
    /** Milliseconds of every answer in all rounds. */
    const answers = new Map<string, number[]>();
    const contender = (name: string, run: (out: string, urls: string[]) => Promise<Answers>): Contender => {
      const all: number[] = [];
      answers.set(name, all);
      return { name, run: async (out) => noted(all, await run(out, urls)) };
    };
    const contenders = [contender("GET /v1/downloads", ours)];
    const { aria2c } = bench.tools;
    if (aria2c)
      contenders.push(contender("aria2 RPC tellActive", (out, list) => aria2Rpc(aria2c, out, list)));
    const results = await compete(contenders, bench.runs, bench.dir, bench.say);
    const mine = answers.get("GET /v1/downloads")!;
    const goals = [
      { text: "99th percentile", value: quantile(mine, 0.99), unit: "ms", atMost: 10 },
      { text: "longest", value: mine.length > 0 ? Math.max(...mine) : Number.NaN, unit: "ms", atMost: 100 },
    ];
    return new Map([[11, { results, goals, bytes: TIMES * bench.size, notes: notesOf(results, answers) }]]);
  },
};

interface Answers {
  seconds: number;
  milliseconds: number[];
}

function noted(all: number[], { seconds, milliseconds }: Answers): Sample {
  all.push(...milliseconds);
  const [p50, p99] = [quantile(milliseconds, 0.5), quantile(milliseconds, 0.99)];
  return { seconds, more: { "p50 ms": p50, "p99 ms": p99, "max ms": Math.max(...milliseconds) } };
}

function notesOf(results: readonly Result[], answers: ReadonlyMap<string, number[]>): string[] {
  return results
    .filter((result) => result.samples.length > 0)
    .map(({ name }) => {
      const all = answers.get(name)!;
      const [p50, p99] = [quantile(all, 0.5).toFixed(1), quantile(all, 0.99).toFixed(1)];
      return `${name}: ${all.length} answers, p50 ${p50}, p99 ${p99}, max ${Math.max(...all).toFixed(1)} ms`;
    });
}

/** Asks again and again until `done`; the time of each answer, read to its end. */
async function askUntil(ask: () => Promise<{ done: boolean }>): Promise<Answers> {
  const begun = performance.now();
  const milliseconds: number[] = [];
  for (let done = false; !done; ) {
    const asked = performance.now();
    ({ done } = await ask());
    milliseconds.push(performance.now() - asked);
    await Bun.sleep(PAUSE_MS);
  }
  return { seconds: (performance.now() - begun) / 1000, milliseconds };
}

async function ours(out: string, urls: readonly string[]): Promise<Answers> {
  await using daemon = await startDaemon({ dir: out, args: ["--max-concurrent", "1", "--linger", "0"] });
  for (const [i, url] of urls.entries()) await daemon.begin({ url, model_id: `model-${i}` });
  const answers = await askUntil(async () => {
    const { total_active: active } = await daemon.must("GET", "/v1/downloads");
    return { done: active === 0 };
  });
  const { active_downloads: all } = await daemon.must("GET", "/v1/downloads?state=all");
  const failed = all.find((it: { state: string }) => it.state !== "completed");
  if (failed) throw new Error(`a download ended as ${failed.state}: ${JSON.stringify(failed.last_error)}`);
  return answers;
}

async function aria2Rpc(aria2c: string, out: string, urls: readonly string[]): Promise<Answers> {
  const port = await freePort();
  const rpc = ["--enable-rpc", `--rpc-listen-port=${port}`, "--max-concurrent-downloads=1", "--dir", out];
  const child = Bun.spawn([aria2c, ...aria2Options(8), "--auto-file-renaming=false", ...rpc], {
    cwd: out,
    env: cleanEnv(out),
    stdio: ["ignore", "ignore", "ignore"],
  });
  try {
    const call = (method: string, params: unknown[] = []) => rpcCall(port, method, params);
    await until(() => call("getVersion"), "aria2's RPC");
    for (const [i, url] of urls.entries()) await call("addUri", [[url], { out: `${i}.bin` }]);
    return await askUntil(async () => {
      const active = (await call("tellActive")) as unknown[];
      if (active.length > 0) return { done: false };
      const { numWaiting } = (await call("getGlobalStat")) as { numWaiting: string };
      return { done: numWaiting === "0" };
    });
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
}

async function rpcCall(port: number, method: string, params: unknown[]): Promise<unknown> {
  const body = JSON.stringify({ jsonrpc: "2.0", id: "bench", method: `aria2.${method}`, params });
  const answer = await fetch(`http://127.0.0.1:${port}/jsonrpc`, { method: "POST", body });
  const { result, error } = (await answer.json()) as { result?: unknown; error?: unknown };
  if (error !== undefined) throw new Error(JSON.stringify(error));
  return result;
}
