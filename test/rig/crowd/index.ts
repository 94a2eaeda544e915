import { join } from "node:path";
import type { CrowdCall, CrowdCalls, CrowdResult } from "./calls.ts";

export type { Told } from "./calls.ts";

/** Readers in a process of their own, so that their work is not the server's. */
export interface Crowd extends AsyncDisposable {
  readonly pid: number;
  ask<K extends keyof CrowdCalls>(
    name: K,
    ...args: Parameters<CrowdCalls[K]>
  ): Promise<ReturnType<CrowdCalls[K]>>;
}

/** Starts an empty crowd that will read from a server on this loopback port. */
export async function startCrowd(port: number): Promise<Crowd> {
  const waiting = new Map<number, (result: CrowdResult) => void>();
  const settle = (result: CrowdResult): void => {
    waiting.get(result.id)?.(result);
    waiting.delete(result.id);
  };
  const reply = (id: number): Promise<CrowdResult> => new Promise((resolve) => waiting.set(id, resolve));
  const ready = reply(0);
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "main.ts")], {
    ipc: settle,
    stdio: ["ignore", "ignore", "inherit"],
    onExit: (_, code) => {
      for (const id of [...waiting.keys()]) settle({ id, error: `the crowd's process ended with ${code}` });
    },
  });
  let calls = 0;
  const call = async (name: keyof CrowdCalls, args: unknown[]): Promise<unknown> => {
    const id = ++calls;
    const result = reply(id);
    child.send({ id, name, args } satisfies CrowdCall);
    const { value, error } = await result;
    if (error !== undefined) throw new Error(error);
    return value;
  };
  const ask: Crowd["ask"] = async (name, ...args) =>
    (await call(name, args)) as ReturnType<CrowdCalls[typeof name]>;
  await ready;
  await ask("at", port);
  return {
    pid: child.pid,
    ask,
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.exited;
    },
  };
}
