import { join } from "node:path";
import type { Fault, Limits, LoggedRequest, Match, OriginOptions, Resource, Stats } from "../origin.ts";

/** What an origin in another process can be asked. Everything is plain data. */
export interface Calls {
  describe(): { base: string; port: number; caFile: string | undefined };
  /** Returns the number of the rule, for the four calls below. */
  on(match: Match, faults: Fault[]): number;
  hits(rule: number): number;
  release(rule: number): void;
  remove(rule: number): void;
  clear(): void;
  limit(limits: Limits): void;
  put(resource: Resource): void;
  sign(path: string, ttlMs?: number): string;
  expireLinks(): void;
  sha256(path: string): string;
  stats(): Stats;
  requests(path?: string, method?: string): LoggedRequest[];
  sent(path?: string): number;
  down(): void;
  up(): void;
}

export interface Call {
  id: number;
  name: keyof Calls;
  args: unknown[];
}

/** The answer to the call with that id; id 0 says that the origin is listening. */
export interface Result {
  id: number;
  value?: unknown;
  error?: string;
}

/** An origin that does not share the event loop with what is being measured. */
export interface OriginProcess extends AsyncDisposable {
  readonly base: string;
  readonly port: number;
  readonly caFile: string | undefined;
  readonly pid: number;
  url(path: string): string;
  ask<K extends keyof Calls>(name: K, ...args: Parameters<Calls[K]>): Promise<ReturnType<Calls[K]>>;
  stop(): Promise<void>;
}

/** Starts an origin in a process of its own; for throughput, and for everything that blocks the test's own loop. */
export async function startOriginProcess(options: Omit<OriginOptions, "handler">): Promise<OriginProcess> {
  const waiting = new Map<number, (result: Result) => void>();
  const settle = (result: Result): void => {
    waiting.get(result.id)?.(result);
    waiting.delete(result.id);
  };
  const reply = (id: number): Promise<Result> => new Promise((resolve) => waiting.set(id, resolve));
  const ready = reply(0);
  const child = Bun.spawn(
    [process.execPath, join(import.meta.dir, "process-main.ts"), JSON.stringify(options)],
    {
      ipc: settle,
      stdio: ["ignore", "ignore", "inherit"],
      onExit: (_, code) => {
        for (const id of [...waiting.keys()])
          settle({ id, error: `the origin's process ended with ${code}` });
      },
    },
  );
  let calls = 0;
  const ask: OriginProcess["ask"] = async (name, ...args) => {
    const id = ++calls;
    const result = reply(id);
    child.send({ id, name, args } satisfies Call);
    return unwrap(await result) as ReturnType<Calls[typeof name]>;
  };
  const stop = async (): Promise<void> => {
    child.kill();
    await child.exited;
  };
  unwrap(await ready);
  const { base, port, caFile } = await ask("describe");
  const url = (path: string): string => base + path.split("/").map(encodeURIComponent).join("/");
  return { base, port, caFile, pid: child.pid, url, ask, stop, [Symbol.asyncDispose]: stop };
}

function unwrap({ value, error }: Result): unknown {
  if (error !== undefined) throw new Error(error);
  return value;
}
