import { expect } from "bun:test";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import {
  type Bottleneck,
  type Digest,
  knownDigest,
  type Receipt,
  type UncheckedDigest,
  type Validator,
} from "../../src/core/download.ts";
import { DownloadError } from "../../src/core/errors.ts";
import type {
  Digests,
  FetchRequest,
  Http,
  Log,
  PartFile,
  Transfer,
  TransferJob,
  TransferObserver,
  TransferResult,
} from "../../src/core/ports.ts";
import { parseRemoteUrl } from "../../src/core/remote-url.ts";
import { knownTarget } from "../../src/core/target-path.ts";
import { systemDisk } from "../../src/storage/disk.ts";
import { DiskPart } from "../../src/storage/part-file.ts";
import { createTransfer, type TransferOptions } from "../../src/transfer/index.ts";
import { client } from "../http/client.ts";
import { type Content, sha256 } from "../support/bytes.ts";

export const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };

export const MiB = 1 << 20;

/** Everything an observer heard, in order, and what follows from it. */
export class Witness implements TransferObserver {
  readonly identities: { size: number | null; validator: Validator | null; ranges: boolean }[] = [];
  readonly restarts: string[] = [];
  readonly warnings: string[] = [];
  readonly bottlenecks: Bottleneck[] = [];
  readonly events: string[] = [];
  /** What the runner's journal would hold: length by start. */
  receipts = new Map<number, number>();
  /** Sum of `gained` since the last restart, and since the beginning. */
  bytes = 0;
  gained = 0;
  mostConnections = 0;
  connectionsNow = 0;
  onWritten: (() => void) | undefined;

  identified(identity: { size: number | null; validator: Validator | null; ranges: boolean }): void {
    this.identities.push(identity);
    this.events.push("identified");
  }
  written(start: number, length: number, gained: number): void {
    this.receipts.set(start, length);
    this.bytes += gained;
    this.gained += gained;
    this.onWritten?.();
  }
  restarted(reason: string): void {
    this.restarts.push(reason);
    this.events.push("restarted");
    this.receipts.clear();
    this.bytes = 0;
  }
  verifying(): void {
    this.events.push("verifying");
  }
  connections(count: number): void {
    this.connectionsNow = count;
    this.mostConnections = Math.max(this.mostConnections, count);
  }
  bottleneck(kind: Bottleneck): void {
    this.bottlenecks.push(kind);
  }
  warning(text: string): void {
    this.warnings.push(text);
  }

  toReceipts(): Receipt[] {
    return [...this.receipts].map(([start, length]) => ({ start, length }));
  }
}

export interface Rig extends AsyncDisposable {
  readonly http: Http;
  readonly transfer: Transfer & { digests: Digests; close(): Promise<void> };
  readonly dir: string;
}

export interface RigOptions extends Partial<Omit<TransferOptions, "http" | "log">> {
  http?: Http;
  caFile?: string;
}

/** A transfer on the real client and a directory of its own, with thresholds small enough for a test. */
export function rig({ http: given, caFile, ...options }: RigOptions = {}): Rig {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "modelhaul-transfer-")));
  const own = given ? undefined : client({ userAgent: "modelhaul-test", ...(caFile ? { caFile } : {}) });
  const http = given ?? own!;
  const transfer = createTransfer({
    http,
    clock: systemClock,
    log: quiet,
    connectionsPerDownload: 8,
    partBytes: MiB,
    smallBytes: 256 << 10,
    digestWorkers: 1,
    ...options,
    stall: { silentMs: 800, siblingSilentMs: 300, laggardMs: 150, ...options.stall },
    patience: { baseMs: 20, hostBackoffMs: 50, ...options.patience },
  });
  return {
    http,
    transfer,
    dir,
    async [Symbol.asyncDispose]() {
      await transfer.close();
      own?.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export interface FetchOptions {
  url: string;
  locate?: () => Promise<FetchRequest>;
  label?: string;
  size?: number | null;
  digest?: UncheckedDigest | string | null;
  validator?: Validator | null;
  receipts?: readonly Receipt[];
  explain?: TransferJob["explain"];
  witness?: Witness;
  signal?: AbortSignal;
  downloadId?: string;
  /** Name of the partial file; the same one again continues it. */
  name?: string;
  /** What is in the partial file beforehand. */
  partial?: Uint8Array;
  wrap?: (part: PartFile) => PartFile;
}

export interface Fetched {
  result: TransferResult;
  witness: Witness;
  path: string;
}

let counter = 0;

/** Runs one transfer to its end. Rejects as `fetch` does. */
export async function fetchOne(rig: Rig, options: FetchOptions): Promise<Fetched> {
  const witness = options.witness ?? new Witness();
  const path = join(rig.dir, options.name ?? `f${++counter}.part`);
  if (options.partial) writeFileSync(path, options.partial, { mode: 0o600 });
  const opened = await DiskPart.open(systemDisk, knownTarget(path), rig.dir);
  const part = options.wrap?.(opened) ?? opened;
  const digest: Digest | null =
    typeof options.digest === "string"
      ? knownDigest({ algorithm: "sha256", hex: options.digest })
      : options.digest
        ? knownDigest(options.digest)
        : null;
  const job: TransferJob = {
    downloadId: options.downloadId ?? "d",
    label: options.label ?? "model.bin",
    size: options.size ?? null,
    digest,
    validator: options.validator ?? null,
    receipts: options.receipts ?? [],
    part,
    locate: options.locate ?? (async () => ({ url: parseRemoteUrl(options.url) })),
    observer: witness,
    signal: options.signal ?? new AbortController().signal,
    ...(options.explain ? { explain: options.explain } : {}),
  };
  try {
    return { result: await rig.transfer.fetch(job), witness, path };
  } finally {
    await opened.close();
  }
}

/** SHA-256 of a file on disk. */
export function fileSha256(path: string): string {
  const hasher = new Bun.CryptoHasher("sha256");
  const fd = openSync(path, "r");
  const block = new Uint8Array(MiB);
  for (let n = readSync(fd, block); n > 0; n = readSync(fd, block)) hasher.update(block.subarray(0, n));
  closeSync(fd);
  return hasher.digest("hex");
}

/** What became of a transfer, whichever way it ended. */
export interface Outcome {
  /** `done`, or the code of the error. */
  end: string;
  error: DownloadError | undefined;
  result: TransferResult | undefined;
  witness: Witness;
  path: string;
}

/** Runs one transfer and tells its end instead of throwing. Anything but a DownloadError fails the test. */
export async function attempt(rig: Rig, options: FetchOptions): Promise<Outcome> {
  const witness = options.witness ?? new Witness();
  const name = options.name ?? `f${++counter}.part`;
  const path = join(rig.dir, name);
  try {
    const { result } = await fetchOne(rig, { ...options, witness, name });
    return { end: "done", error: undefined, result, witness, path };
  } catch (error) {
    if (!(error instanceof DownloadError)) throw error;
    return { end: error.code, error, result: undefined, witness, path };
  }
}

/** The bytes that receipts vouch for are those of one of `versions`. */
export function expectTruth(witness: Witness, path: string, ...versions: Content[]): void {
  const disk = readFileSync(path);
  const right = versions.filter((content) =>
    [...witness.receipts].every(([start, length]) => {
      const end = Math.min(start + length, content.size);
      return (
        end === start + length && Buffer.compare(disk.subarray(start, end), content.read(start, length)) === 0
      );
    }),
  );
  expect(right.length, "receipts vouch for bytes of no version, or of several").toBeGreaterThan(0);
}

/** The file on disk is exactly one of `versions`; returns which. */
export function expectWhole(path: string, ...versions: Content[]): number {
  const sum = fileSha256(path);
  const which = versions.findIndex((content) => sha256(content) === sum);
  expect(which, "the finished file is none of the versions that were served").toBeGreaterThanOrEqual(0);
  return which;
}
