import { readdirSync, readFileSync } from "node:fs";
import { residentSet } from "../bench/measure.ts";
import { MIB } from "../bench/row.ts";
import type { Daemon } from "../support/daemon.ts";

/** Clock ticks a second in /proc; the same on every Linux that is in use. */
const TICKS = 100;

/** User and system time of a running process, seconds. */
export function cpuSeconds(pid: number): number {
  // The second field is the command's name in brackets, which may hold spaces.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

export const residentMib = (pid: number): number => residentSet(pid) / MIB;

/** Open descriptors of a process. */
export const descriptors = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

/** Descriptors a process may have here; what children inherit. */
export function mostDescriptors(): number {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  return hard === undefined || hard === "unlimited" ? Number.MAX_SAFE_INTEGER : Number(hard);
}

/** Looks again and again until it is stopped, and keeps the most it has seen. */
export class Peak implements Disposable {
  most = 0;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(read: () => number, everyMs = 250) {
    const look = (): void => {
      this.most = Math.max(this.most, read());
    };
    look();
    this.#timer = setInterval(look, everyMs);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** Milliseconds that each of these took, one after the other. */
export async function timesOf(count: number, work: (index: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const begun = performance.now();
    await work(i);
    times.push(performance.now() - begun);
  }
  return times;
}

/** Number of the newest event of a daemon. */
export async function newestSeq(daemon: Daemon): Promise<number> {
  using socket = await daemon.ws();
  return (await socket.next(({ type }) => type === "hello")).seq as number;
}
