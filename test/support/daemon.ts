import { join } from "node:path";
import type { Subprocess } from "bun";
import type { WireDownload } from "../../src/cli/wire.ts";
import { executable } from "./executable.ts";
import { LiveEvents, LiveSocket } from "./live.ts";
import { Lines } from "./until.ts";

/** A download as the native API shows it (DESIGN §5), as far as tests read it. */
export interface Shown extends WireDownload {
  status: string;
  attempts: number;
  connections: number;
  last_error?: { code: string; message: string };
  files_total: number;
  files_done: number;
  priority: number;
  rate_limit_bps: number;
  commit?: string;
  position?: number;
}

export interface Answer {
  status: number;
  headers: Headers;
  /** Parsed JSON, or the text where it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: what it holds depends on the route; tests assert it field by field
  body: any;
}

export interface DaemonOptions {
  /** Holds the data and the models; kept when the daemon is started again. */
  dir: string;
  args?: readonly string[];
  /** Beside PATH and a HOME of its own, all there is. */
  env?: Record<string, string>;
  port?: number;
  /** Sent with every request. */
  apiKey?: string;
}

/** Of a start on a machine that is busy with something else. */
const LISTEN_MS = 60_000;
const STOP_MS = 5_000;
const POLL_MS = 20;

/** Environment of a process of ours: nothing of the tester's own (tokens, proxies) gets in. */
export function cleanEnv(home: string, more: Record<string, string> = {}): Record<string, string> {
  return { PATH: process.env.PATH ?? "", HOME: home, ...more };
}

/** The executable with these arguments, not waited for: the caller ends it. `wrap`: a command that runs it. */
export async function spawnExecutable(
  args: readonly string[],
  env: Record<string, string>,
  wrap: readonly string[] = [],
) {
  const child = Bun.spawn([...wrap, await executable(), ...args], {
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  return { child, out: new Lines(child.stdout), err: new Lines(child.stderr) };
}

export interface Finished {
  code: number;
  out: string;
  err: string;
  ms: number;
}

/** Runs one command of the executable to its end. */
export async function runExecutable(args: readonly string[], env: Record<string, string>): Promise<Finished> {
  await executable();
  const begun = performance.now();
  const { child, out, err } = await spawnExecutable(args, env);
  const code = await child.exited;
  await Promise.all([out.closed, err.closed]);
  return { code, out: out.all.join("\n"), err: err.all.join("\n"), ms: performance.now() - begun };
}

/** A daemon from the built executable. `await using` ends it; nothing else does when a test fails. */
export class Daemon implements AsyncDisposable {
  readonly dataDir: string;
  readonly modelsDir: string;
  /** Standard error of all runs. */
  readonly log: string[] = [];
  base = "";
  urls: string[] = [];
  private child: Subprocess | undefined;
  private err: Lines | undefined;

  constructor(readonly options: DaemonOptions) {
    this.dataDir = join(options.dir, "data");
    this.modelsDir = join(options.dir, "models");
  }

  get pid(): number {
    if (!this.child) throw new Error("the daemon does not run");
    return this.child.pid;
  }

  /** Starts it, for the first time or again on the same folders. Resolves when it listens. `wrap`: a command that runs it. */
  async start(wrap: readonly string[] = []): Promise<void> {
    const { port = 0, args = [], env = {}, dir } = this.options;
    const listen = args.includes("--listen") ? [] : ["--listen", `127.0.0.1:${port}`];
    const folders = ["--data-dir", this.dataDir, "--models-dir", this.modelsDir];
    const { child, out, err } = await spawnExecutable(
      ["serve", ...listen, ...folders, ...args],
      cleanEnv(dir, env),
      wrap,
    );
    this.child = child;
    this.err = err;
    try {
      await out.waitFor(/^listening on /, LISTEN_MS);
    } catch (error) {
      await this.kill();
      throw new Error(`the daemon did not start: ${error}\n${this.story()}`);
    }
    this.urls = out.all.flatMap((line) => /^listening on (.+)$/.exec(line)?.[1] ?? []);
    this.base = this.urls[0]!;
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    if (!this.child) return;
    this.child.kill("SIGKILL");
    await this.gone();
  }

  /** SIGTERM: must end with 0 within 5 s (DESIGN §8). */
  async stop(): Promise<void> {
    const { child } = this;
    if (!child) throw new Error("the daemon does not run");
    const begun = performance.now();
    child.kill("SIGTERM");
    const code = await Promise.race([child.exited, Bun.sleep(2 * STOP_MS).then(() => "none")]);
    const ms = Math.round(performance.now() - begun);
    if (code !== 0 || ms > STOP_MS + 500)
      throw new Error(`SIGTERM: exit code ${code} after ${ms} ms\n${this.story()}`);
    await this.gone();
  }

  /** Stops it when it runs, and starts it again on the same folders. */
  async restart(): Promise<void> {
    if (this.child) await this.stop();
    await this.start();
  }

  /** Resolves with its exit code when it has ended, by itself or by somebody else. */
  async gone(): Promise<number | undefined> {
    const code = await this.child?.exited;
    await this.err?.closed;
    this.log.push(...(this.err?.all ?? []));
    this.child = undefined;
    this.err = undefined;
    return code;
  }

  /** The last lines of its log, for the message of a failure. */
  story(): string {
    return [...this.log, ...(this.err?.all ?? [])].slice(-30).join("\n");
  }

  private headers(more: Record<string, string> = {}): Record<string, string> {
    const { apiKey } = this.options;
    return apiKey === undefined ? more : { Authorization: `Bearer ${apiKey}`, ...more };
  }

  async api(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const typed: Record<string, string> = body === undefined ? {} : { "Content-Type": "application/json" };
    const answer = await fetch(this.base + path, {
      method,
      headers: this.headers({ ...typed, ...headers }),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, body: parsed(text) };
  }

  /** `api` that must succeed; answers the body. */
  async must(method: string, path: string, body?: unknown) {
    const answer = await this.api(method, path, body);
    if (answer.status >= 300)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}\n${this.story()}`);
    return answer.body;
  }

  /** Starts a download; answers it as the API shows it. */
  begin(request: Record<string, unknown>): Promise<Shown> {
    return this.must("POST", "/v1/downloads", request);
  }

  one(id: string): Promise<Shown> {
    return this.must("GET", `/v1/downloads/${encodeURIComponent(id)}`);
  }

  /** Polls until the download is in this state, or `holds`. Fails at once when it has ended in another one. */
  async until(
    id: string,
    wanted: string | ((download: Shown) => boolean),
    timeoutMs = 30_000,
  ): Promise<Shown> {
    const holds =
      typeof wanted === "string" ? (download: Shown): boolean => download.state === wanted : wanted;
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const seen = await this.one(id);
      if (holds(seen)) return seen;
      const why = ENDED.has(seen.state) ? "ended before" : "took too long for";
      if (ENDED.has(seen.state) || performance.now() > deadline)
        throw new Error(`${id} ${why} ${wanted}: ${JSON.stringify(seen)}\n${this.story()}`);
      await Bun.sleep(POLL_MS);
    }
  }

  /** Server-sent events, read as they come. */
  async events(path = "/v1/events", lastEventId?: number): Promise<LiveEvents> {
    const resume: Record<string, string> =
      lastEventId === undefined ? {} : { "Last-Event-ID": String(lastEventId) };
    const abort = new AbortController();
    const answer = await fetch(this.base + path, { headers: this.headers(resume), signal: abort.signal });
    if (!answer.ok || answer.body === null)
      throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return new LiveEvents(answer.body, () => abort.abort());
  }

  /** A WebSocket client that has been greeted. */
  async ws(path = "/v1/ws"): Promise<LiveSocket> {
    // Bun's client takes headers, which browsers' do not.
    const options = { headers: this.headers() } as unknown as string[];
    const socket = new LiveSocket(new WebSocket(this.base.replace("http", "ws") + path, options));
    await socket.next((frame) => frame.type === "hello");
    return socket;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

const ENDED = new Set(["completed", "failed", "cancelled"]);

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Starts a daemon from the built executable and waits until it listens. */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const daemon = new Daemon(options);
  await daemon.start();
  return daemon;
}
