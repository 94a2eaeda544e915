/**
 * An origin in a process of its own: `bun test/support/origin/process-main.ts '{"resources":[…]}'` prints its address
 * and serves until it is killed. Started by `startOriginProcess` it also obeys calls over IPC.
 */
import { type Origin, type OriginOptions, type Rule, startOrigin } from "../origin.ts";
import type { Call, Calls, Result } from "./process.ts";

function callsOf(origin: Origin): {
  [K in keyof Calls]: (...args: Parameters<Calls[K]>) => ReturnType<Calls[K]>;
} {
  const rules: Rule[] = [];
  return {
    describe: () => ({ base: origin.base, port: origin.port, caFile: origin.caFile }),
    on: (match, faults) => rules.push(origin.on(match, ...faults)) - 1,
    hits: (rule) => rules[rule]!.hits,
    release: (rule) => rules[rule]!.release(),
    remove: (rule) => rules[rule]!.remove(),
    clear: () => origin.clear(),
    limit: (limits) => void Object.assign(origin.limits, limits),
    put: (resource) => origin.put(resource),
    sign: (path, ttlMs) => origin.sign(path, ttlMs),
    expireLinks: () => origin.expireLinks(),
    sha256: (path) => origin.sha256(path),
    stats: () => origin.stats,
    requests: (path, method) => origin.requests(path, method),
    sent: (path) => origin.sent(path),
    down: () => origin.down(),
    up: () => origin.up(),
  };
}

const origin = await startOrigin(JSON.parse(process.argv[2] ?? "{}") as OriginOptions);
const calls = callsOf(origin);

function answer({ id, name, args }: Call): Result {
  try {
    // The table and `Call` are typed together; the pairing of one name with its arguments is lost in between.
    const call = calls[name] as (...args: unknown[]) => unknown;
    return { id, value: call(...args) };
  } catch (error) {
    return { id, error: String(error) };
  }
}

async function stop(): Promise<void> {
  await origin.stop();
  process.exit(0);
}

process.on("SIGTERM", stop);
process.on("SIGINT", stop);
if (process.send) {
  process.on("message", (call: Call) => process.send?.(answer(call)));
  process.on("disconnect", stop);
  process.send({ id: 0 } satisfies Result);
} else {
  console.log(origin.base);
}
