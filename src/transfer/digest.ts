/** Digests of files, computed in worker threads while the bytes arrive or of whole files. */
import { stat } from "node:fs/promises";
import { cpus } from "node:os";
import { basename } from "node:path";
import { type Digest, type DigestAlgorithm, knownDigest } from "../core/digest.ts";
import { DownloadError } from "../core/errors.ts";
import type { Digests } from "../core/ports.ts";
import type { TargetPath } from "../core/target-path.ts";
import type { FromWorker, ToWorker } from "./digest-worker.ts";

/** A worker hashes so much before it looks at its messages again; a few such steps are on their way at a time. */
const STEP = 2 << 20;
const AHEAD = 4 * STEP;
/** Less than that is not worth a message while more is to come. */
const LEAST = 1 << 20;

/** In the executable all modules are one, and the worker lies where `build.ts` puts this entry point. */
const WORKER = import.meta.url.endsWith("/transfer/digest.ts")
  ? new URL("./digest-worker.ts", import.meta.url).href
  : new URL("./src/transfer/digest-worker.js", import.meta.url).href;

/** Digest of bytes in memory; for small files only, it blocks. */
export function digestOf(algorithm: DigestAlgorithm, chunks: readonly Uint8Array[], size: number): Digest {
  const hasher = new Bun.CryptoHasher(algorithm === "git-sha1" ? "sha1" : algorithm);
  if (algorithm === "git-sha1") hasher.update(`blob ${size}\0`);
  for (const chunk of chunks) hasher.update(chunk);
  return knownDigest({ algorithm, hex: hasher.digest("hex") });
}

/** What a disk cannot read does not get well by waiting (F86); whatever else was in the way may. */
function unreadable(path: string, { code, text }: { code: string | undefined; text: string }): DownloadError {
  if (code !== "EIO")
    return new DownloadError("io", `${basename(path)}: could not be read for its digest (${code ?? text}).`);
  return new DownloadError(
    "io",
    `${path} cannot be read for its digest: the disk reports an input/output error. The file is kept. ` +
      "Check the disk and its cable, then try again.",
    { verdict: "final" },
  );
}

interface Thread {
  worker: Bun.Worker;
  sessions: Set<DigestSession>;
}

/** The digest of one file, following its front as it grows. */
export class DigestSession {
  /** Bytes hashed so far. */
  hashed = 0;
  /** Called after each step. */
  onProgress: ((hashed: number) => void) | undefined;
  /** Called when the file could not be read. */
  onFailure: ((error: unknown) => void) | undefined;
  private available = 0;
  private sent = 0;
  private end: number | undefined;
  private over = false;
  private readonly result = Promise.withResolvers<string>();

  constructor(
    readonly id: number,
    readonly path: TargetPath,
    readonly algorithm: DigestAlgorithm,
    private readonly send: (message: ToWorker) => void,
    private readonly leave: () => void,
  ) {
    this.result.promise.catch(() => {});
  }

  /** Bytes [0, end) stand in the file. */
  advance(end: number): void {
    if (end <= this.available) return;
    this.available = end;
    this.feed();
  }

  /** Resolves with the digest of [0, size), which must all stand in the file. Rejects with `io`. */
  async finish(size: number): Promise<Digest> {
    this.end = size;
    this.available = Math.max(size, this.available);
    this.feed();
    return knownDigest({ algorithm: this.algorithm, hex: await this.result.promise });
  }

  cancel(): void {
    if (this.over) return;
    this.onFailure = undefined;
    this.send({ kind: "drop", id: this.id });
    this.fail(new Error("the digest was cancelled"));
  }

  fail(error: unknown): void {
    if (this.over) return;
    this.over = true;
    this.result.reject(error);
    this.leave();
    this.onFailure?.(error);
  }

  receive(message: FromWorker): void {
    if (message.kind === "digest") {
      this.over = true;
      this.result.resolve(message.hex);
      this.leave();
    } else if (message.kind === "failed") {
      this.fail(unreadable(this.path, message));
    } else {
      this.hashed = message.to;
      this.feed();
      this.onProgress?.(this.hashed);
    }
  }

  private feed(): void {
    if (this.over) return;
    const most = Math.min(this.available, this.end ?? this.available);
    while (this.sent < most && this.sent - this.hashed < AHEAD) {
      const to = Math.min(most, this.sent + STEP);
      if (to - this.sent < LEAST && this.end === undefined) break;
      this.sent = to;
      this.send({ kind: "step", id: this.id, to });
    }
    if (this.end !== undefined && this.hashed === this.end) {
      this.send({ kind: "finish", id: this.id });
      this.end = undefined;
    }
  }
}

/** Worker threads, as many as there are cores, started when needed; files share them in small steps. */
export class DigestPool implements Digests {
  private readonly threads: Thread[] = [];
  private nextId = 1;

  constructor(private readonly most: number = cpus().length) {}

  /** Follows a file that is being written. `size` is needed for `git-sha1`, whose header holds it. */
  open(path: TargetPath, algorithm: DigestAlgorithm, size: number | null, follow = false): DigestSession {
    const thread = this.thread();
    const id = this.nextId++;
    const leave = (): void => {
      thread.sessions.delete(session);
      if (thread.sessions.size === 0) thread.worker.unref();
    };
    const session = new DigestSession(
      id,
      path,
      algorithm,
      (message) => thread.worker.postMessage(message),
      leave,
    );
    if (thread.sessions.size === 0) thread.worker.ref();
    thread.sessions.add(session);
    thread.worker.postMessage({ kind: "open", id, path, algorithm, size, follow } satisfies ToWorker);
    return session;
  }

  /** Whole file; rejects with `file_not_found`, `io` or the signal's reason. */
  async file(
    path: TargetPath,
    algorithm: DigestAlgorithm,
    signal?: AbortSignal,
    onProgress?: (bytes: number) => void,
  ): Promise<Digest> {
    signal?.throwIfAborted();
    const { size } = await stat(path).catch((cause: NodeJS.ErrnoException) => {
      const code = cause.code === "ENOENT" ? "file_not_found" : "io";
      throw new DownloadError(code, `${basename(path)}: cannot be read (${cause.code ?? cause.message}).`, {
        cause,
      });
    });
    signal?.throwIfAborted();
    const session = this.open(path, algorithm, size, true);
    session.onProgress = onProgress;
    const cancel = (): void => session.cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      return await session.finish(size);
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  async close(): Promise<void> {
    for (const { worker, sessions } of this.threads.splice(0)) {
      for (const session of [...sessions]) session.cancel();
      await worker.terminate();
    }
  }

  private thread(): Thread {
    const idlest = this.threads.reduce<Thread | undefined>(
      (best, it) => (best && best.sessions.size <= it.sessions.size ? best : it),
      undefined,
    );
    if (idlest && (idlest.sessions.size === 0 || this.threads.length >= this.most)) return idlest;
    return this.start();
  }

  private start(): Thread {
    const worker = new Worker(WORKER, { name: "digest" }) as unknown as Bun.Worker;
    const thread: Thread = { worker, sessions: new Set() };
    worker.onmessage = (event) => {
      const data = (event as unknown as { data: FromWorker }).data;
      for (const session of thread.sessions) if (session.id === data.id) return session.receive(data);
    };
    worker.onerror = (event) => {
      const at = this.threads.indexOf(thread);
      if (at >= 0) this.threads.splice(at, 1);
      const error = new DownloadError("internal", `The digest worker failed: ${event.message}`);
      for (const session of [...thread.sessions]) session.fail(error);
    };
    this.threads.push(thread);
    return thread;
  }
}
