import { connect, type Socket } from "node:net";
import { startDaemon } from "../../support/daemon.ts";
import { between, oneOf, randomOf } from "../../support/random.ts";
import { tempDir } from "../../support/temp.ts";
import type { Rig } from "../rig.ts";

/** Beyond this a difference is no chance (G18). */
const MOST_T = 4.5;
/** The slowest are the machine's doing, not the comparison's. */
const KEPT = 0.8;
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/** As long as a header may be; hashing it takes some microseconds more. */
const LONG_KEY = 12_000;

type Kind = "stranger" | "near" | "long";

/** F185, F186, G18: whether the time of a refusal tells how much of a key was right. */
export const timing: Rig = {
  name: "timing",
  title:
    "Wrong keys that share nothing with the right one, all but its last character, or are very long: the time of the refusal tells the first two from each other no better than chance; the third shows what would be seen.",
  async run({ seed, isLong, say }) {
    const next = randomOf(seed);
    const key = random(next, 48);
    using dir = tempDir("rig-timing");
    await using daemon = await startDaemon({ dir: dir.path, env: { MODELHAUL_API_KEY: key } });
    const port = Number(new URL(daemon.base).port);
    const times: Record<Kind, number[]> = { stranger: [], near: [], long: [] };
    const tries = isLong ? 90_000 : 600;
    // Made in the same way and with the same work: what is left behind for the collector of garbage is measured too.
    const wrong: Record<Kind, () => string> = {
      stranger: () => mixed(next, key, 0),
      near: () => mixed(next, key, key.length - 1),
      long: () => random(next, LONG_KEY),
    };
    const statuses = new Set<number>();
    const kinds = Object.keys(times) as Kind[];
    for (let n = 0; n < tries; n++) {
      // One try for each address: nobody waits for his turn.
      const peer = `127.${1 + (n >> 16)}.${(n >> 8) & 0xff}.${n & 0xff}`;
      const kind = oneOf(next, kinds);
      const { ms, status } = await attempt(port, peer, wrong[kind]());
      times[kind].push(ms);
      statuses.add(status);
      if ((n + 1) % 10_000 === 0) say(`${n + 1} of ${tries} tries`);
    }
    const t = welch(times.stranger, times.near);
    const control = welch(times.stranger, times.long);
    return [
      { what: "tries", value: times.stranger.length + times.near.length + times.long.length, atLeast: tries },
      {
        what: "answers other than 401",
        value: [...statuses].filter((status) => status !== 401).length,
        atMost: 0,
      },
      {
        what: "Welch's t without its sign: keys that share nothing, keys that share all but one character",
        value: t,
        atMost: MOST_T,
      },
      {
        what: "Welch's t without its sign: keys that share nothing, very long ones",
        value: control,
        ...(isLong && { atLeast: MOST_T }),
      },
    ];
  },
};

const random = (next: () => number, length: number): string =>
  Array.from({ length }, () => LETTERS[between(next, 0, LETTERS.length - 1)]).join("");

/** Random letters behind so many of the key's own; the last is never the key's. */
function mixed(next: () => number, key: string, shared: number): string {
  const last = key.length - 1;
  const letters = [...random(next, key.length)].map((letter, at) => (at < shared ? (key[at] ?? "") : letter));
  if (letters[last] === key[last]) letters[last] = "-";
  return letters.join("");
}

/** A connection from that address, warmed up, and then one request with a key. */
async function attempt(port: number, peer: string, key: string): Promise<{ ms: number; status: number }> {
  const socket = connect({ host: "127.0.0.1", port, localAddress: peer, noDelay: true });
  try {
    await new Promise((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    await ask(socket, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    // Bytes already: putting the text together would be measured too.
    const request = Buffer.from(`GET /v1/downloads HTTP/1.1\r\nHost: localhost\r\nX-API-Key: ${key}\r\n\r\n`);
    const begun = performance.now();
    const answer = await ask(socket, request);
    return { ms: performance.now() - begun, status: Number(answer.slice(9, 12)) };
  } finally {
    socket.destroy();
  }
}

/** Sends, and resolves with the first that comes back. */
function ask(socket: Socket, request: string | Uint8Array): Promise<string> {
  return new Promise((resolve, reject) => {
    const settle = (done: () => void): void => {
      socket.off("data", heard);
      socket.off("close", gone);
      done();
    };
    const heard = (chunk: Buffer): void => settle(() => resolve(chunk.toString("latin1")));
    const gone = (): void => settle(() => reject(new Error("closed without an answer")));
    socket.once("data", heard);
    socket.once("close", gone);
    socket.write(request);
  });
}

/** Welch's t of two samples without their slowest, as an absolute value. */
function welch(one: readonly number[], other: readonly number[]): number {
  const [a, b] = [summary(one), summary(other)];
  return Math.abs(a.mean - b.mean) / Math.sqrt(a.variance / a.count + b.variance / b.count);
}

function summary(sample: readonly number[]): { mean: number; variance: number; count: number } {
  const kept = sample.toSorted((x, y) => x - y).slice(0, Math.ceil(sample.length * KEPT));
  const mean = kept.reduce((sum, it) => sum + it, 0) / kept.length;
  const variance = kept.reduce((sum, it) => sum + (it - mean) ** 2, 0) / (kept.length - 1);
  return { mean, variance, count: kept.length };
}
