import { readdirSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import type { Daemon } from "../support/daemon.ts";

/** Runs what follows with this many descriptors at most, which no process can raise again. */
export const withDescriptors = (count: number): string[] => [
  "sh",
  "-c",
  `ulimit -n ${count} && exec "$@"`,
  "sh",
];

/** Clients that connect and say nothing. */
export class Crowd implements Disposable {
  /** Connected so far; what the listener's queue does not take is still trying. */
  connected = 0;
  readonly #sockets: Socket[] = [];

  constructor({ base }: Daemon, count: number) {
    const { hostname, port } = new URL(base);
    for (let i = 0; i < count; i++) {
      const socket = connect({ host: hostname, port: Number(port) });
      socket.on("connect", () => {
        this.connected += 1;
      });
      // Refused or reset: as good as connected for what is tested.
      socket.on("error", () => {});
      this.#sockets.push(socket);
    }
  }

  get size(): number {
    return this.#sockets.length;
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets.splice(0)) socket.destroy();
  }
}

/** Descriptors that a process has open. */
export const descriptorsOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

/** Processor seconds of all threads of a process so far. */
export function processorSecondsOf(pid: number): number {
  const [, fields = ""] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ");
  const [user = 0, system = 0] = fields.split(" ").slice(11, 13).map(Number);
  return (user + system) / TICKS_PER_SECOND;
}

/** The same on every Linux that there is (USER_HZ). */
const TICKS_PER_SECOND = 100;
