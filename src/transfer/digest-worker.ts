/** Hashes files beside the event loop. Entry point of a worker thread; talks to digest.ts only. */
import { closeSync, constants, openSync, readSync } from "node:fs";
import type { DigestAlgorithm } from "../core/download.ts";

export type ToWorker =
  | {
      kind: "open";
      id: number;
      path: string;
      algorithm: DigestAlgorithm;
      size: number | null;
      follow: boolean;
    }
  /** Hash on to this byte. */
  | { kind: "step"; id: number; to: number }
  | { kind: "finish"; id: number }
  | { kind: "drop"; id: number };

export type FromWorker =
  | { kind: "hashed"; id: number; to: number }
  | { kind: "digest"; id: number; hex: string }
  | { kind: "failed"; id: number; code: string | undefined; text: string };

interface Job {
  fd: number;
  hasher: Bun.CryptoHasher;
  at: number;
}

declare const self: Worker;

const BLOCK = 1 << 20;
const block = new Uint8Array(BLOCK);
const jobs = new Map<number, Job>();
const tell = (message: FromWorker): void => self.postMessage(message);

function open({ id, path, algorithm, size, follow }: Extract<ToWorker, { kind: "open" }>): void {
  const fd = openSync(path, constants.O_RDONLY | (follow ? 0 : (constants.O_NOFOLLOW ?? 0)));
  const hasher = new Bun.CryptoHasher(algorithm === "git-sha1" ? "sha1" : algorithm);
  if (algorithm === "git-sha1") hasher.update(`blob ${size}\0`);
  jobs.set(id, { fd, hasher, at: 0 });
}

function step(job: Job, id: number, to: number): void {
  while (job.at < to) {
    const count = readSync(job.fd, block, 0, Math.min(BLOCK, to - job.at), job.at);
    if (count === 0) throw new Error(`the file ends at byte ${job.at}, before ${to}`);
    job.hasher.update(count === BLOCK ? block : block.subarray(0, count));
    job.at += count;
  }
  tell({ kind: "hashed", id, to });
}

function drop(id: number): void {
  const job = jobs.get(id);
  jobs.delete(id);
  if (job) closeSync(job.fd);
}

function obey(message: ToWorker): void {
  const { id } = message;
  if (message.kind === "open") {
    open(message);
    return;
  }
  const job = jobs.get(id);
  if (!job) return;
  if (message.kind === "step") {
    step(job, id, message.to);
    return;
  }
  if (message.kind === "finish") tell({ kind: "digest", id, hex: job.hasher.digest("hex") });
  drop(id);
}

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  try {
    obey(data);
  } catch (error) {
    drop(data.id);
    const { code, message } = error as NodeJS.ErrnoException;
    tell({ kind: "failed", id: data.id, code, text: message });
  }
};
