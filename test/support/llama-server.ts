/**
 * A program that behaves like `llama-server` as far as a supervisor sees it: options, log lines, 503 while it loads,
 * then 200, and on order the ways it fails. Run by a small shell wrapper, so that it is a process of its own.
 */
import { appendFileSync, chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What the next start does. Read anew at each start. */
export interface Orders {
  /** Answers 503 for so long. */
  loadMs?: number;
  /** Ends with this code instead of getting ready. */
  exitCode?: number;
  /** Only so many starts from now end that way. */
  times?: number;
  /** 503 for ever. */
  neverReady?: boolean;
  /** Listens to no SIGTERM. */
  deaf?: boolean;
  /** The port is taken by somebody else, it says. */
  portTaken?: boolean;
  /** Prints so many long lines first. */
  chatter?: number;
}

export interface Start {
  pid: number;
  args: string[];
  port: number;
  /** Names of the variables it was given. */
  variables: string[];
}

/** The program in a folder, and what became of its starts. */
export class LlamaProgram {
  readonly path: string;
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
    this.path = join(dir, "llama-server");
    writeFileSync(this.path, `#!/bin/sh\nexec '${process.execPath}' '${import.meta.path}' '${dir}' "$@"\n`);
    chmodSync(this.path, 0o755);
    this.order({});
  }

  order(orders: Orders): void {
    writeFileSync(join(this.#dir, "orders.json"), JSON.stringify(orders));
  }

  starts(): Start[] {
    const path = join(this.#dir, "starts.jsonl");
    if (!existsSync(path)) return [];
    const lines = readFileSync(path, "utf8").split("\n").filter(Boolean);
    return lines.map((line) => JSON.parse(line) as Start);
  }

  /** Those of its processes that are there. */
  alive(): number[] {
    return this.starts()
      .map(({ pid }) => pid)
      .filter(isAlive);
  }
}

/** Whether this process runs; one that has ended and was not yet waited for does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const stat = `/proc/${pid}/stat`;
  return !existsSync(stat) || !/\) Z /.test(readFileSync(stat, "utf8"));
}

/** Makes a ready server of this address end. */
export async function crash(endpoint: string | null | undefined): Promise<void> {
  await fetch(`${endpoint}/crash`, { method: "POST" }).catch(() => {});
}

function takeOrders(dir: string): Orders {
  const path = join(dir, "orders.json");
  const orders = JSON.parse(readFileSync(path, "utf8")) as Orders;
  if (orders.times === undefined) return orders;
  writeFileSync(path, JSON.stringify({ ...orders, times: orders.times - 1 }));
  return orders.times > 0 ? orders : {};
}

function main(dir: string, args: string[]): void {
  const value = (flag: string): string => args[args.indexOf(flag) + 1] ?? "";
  const port = Number(value("--port"));
  const orders = takeOrders(dir);
  const start: Start = { pid: process.pid, args, port, variables: Object.keys(process.env) };
  appendFileSync(join(dir, "starts.jsonl"), `${JSON.stringify(start)}\n`);
  for (let i = 0; i < (orders.chatter ?? 0); i++) console.error(`chatter ${i} ${"x".repeat(5000)}`);
  console.error(`main: loading model '${value("-m")}'`);
  if (orders.deaf) process.on("SIGTERM", () => console.error("not now"));
  if (orders.portTaken) {
    console.error(`main: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: ${port}`);
    process.exit(1);
  }
  if (orders.exitCode !== undefined) {
    console.error(
      "llama_model_load: error loading model: tensor 'blk.0.weight' data is not within the file bounds",
    );
    console.log("main: exiting due to model loading error");
    process.exit(orders.exitCode);
  }
  const ready = performance.now() + (orders.neverReady ? Number.POSITIVE_INFINITY : (orders.loadMs ?? 0));
  Bun.serve({
    hostname: value("--host"),
    port,
    fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/crash") {
        console.error("GGML_ASSERT: ordered to crash");
        setTimeout(() => process.exit(134), 1);
        return new Response("bye");
      }
      if (pathname !== "/health") return new Response("File Not Found", { status: 404 });
      if (performance.now() >= ready) return Response.json({ status: "ok" });
      const error = { code: 503, message: "Loading model", type: "unavailable_error" };
      return Response.json({ error }, { status: 503 });
    },
  });
  console.error(`main: server is listening on http://127.0.0.1:${port} - starting the main loop`);
}

if (import.meta.main) main(process.argv[2] ?? ".", process.argv.slice(3));
