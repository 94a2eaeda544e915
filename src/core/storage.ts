/** What core asks of the room where bytes rest. */

import type { Digest, Download, File, LayoutName, PartialMark, SourceRef } from "./download.ts";
import type { TargetPath } from "./target-path.ts";

export interface Target {
  /** Absolute final path. */
  path: TargetPath;
  /** Absolute path of the partial file, on the same file system. */
  partial: TargetPath;
  /** Where the bytes go when `path` is only a link to them (hf-cache). */
  blob?: TargetPath;
  /**
   * What the name says. `content`: its digest, so several downloads share the file. `seal`: that all the others are
   * there, so it comes last. Whatever else has such a name is replaced; without a role it is kept (F91).
   */
  role?: "content" | "seal";
}

export interface PlanInput {
  download: Pick<Download, "id" | "modelId" | "source" | "layout" | "commit">;
  /** Canonical repository name, when the source has one. */
  repo: string | null;
  files: readonly Pick<File, "id" | "path" | "size" | "digest" | "target">[];
  /** True when this path belongs to, or is planned by, another download (another source's file: A18). */
  taken(path: TargetPath): Promise<boolean>;
  /** True when an earlier download of the same source has put this path there. */
  ours?(path: TargetPath): Promise<boolean>;
  /** Only the names it has are asked for: none is kept for it. */
  lookOnly?: true;
  /** Ends the planning of a long list; rejects with its reason. */
  signal?: AbortSignal;
}

export interface Plan {
  /** Per file id. */
  targets: Map<number, Target>;
  /** Files that are there already under a name that proves their digest; nothing to fetch. */
  present?: Map<number, TargetPath>;
  /** What `local_path` shows: the file, or the folder of a many-file download. */
  localPath: TargetPath;
}

/** An open partial file. All methods reject with DownloadError (`no_space read_only io file_too_big tampered volume_gone`). */
export interface PartFile {
  readonly path: TargetPath;
  /** Bytes on disk when it was opened. Never the resume state, only its upper bound (F88). */
  readonly initialLength: number;
  /** As it is now on disk. */
  mark?(): PartialMark;
  /** The file will have so many bytes in the end: room can be made for them ahead of the writes. */
  expect?(size: number): void;
  /** Writes all chunks at `position`, one after the other; loops over short writes (F81). */
  write(position: number, chunks: readonly Uint8Array[]): Promise<void>;
  /** fdatasync. After a failure nothing since the last success may be trusted (F85). */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}

export interface StoredFile {
  exists: boolean;
  size: number | null;
  /** Last write, epoch milliseconds; null when nothing is there. */
  modifiedAt: number | null;
}

export interface Storage {
  /**
   * Where a download's bytes will most likely be: what `local_path` shows until the plan is made. Pure: no I/O, throws
   * nothing. Null when nobody can tell yet.
   */
  expected?(source: SourceRef, layout: LayoutName): TargetPath | null;
  /**
   * Whether something could be written for this download now. Throws `read_only`, or `name_collision` where no
   * directory can be (F83); what only has to be waited for, such as a volume, does not speak against it.
   */
  checkWritable?(source: SourceRef, layout: LayoutName): Promise<void>;
  /**
   * Validates every path, chooses final and partial names, refuses collisions (`invalid_path`, `name_collision`). No
   * other download gets these names until `release`.
   */
  plan(input: PlanInput): Promise<Plan>;
  /** From now on only the database says which names this download has (`PlanInput.taken`). */
  release(downloadId: string): void;
  /** Opens or creates the partial file (0600, not through links: F90). */
  open(target: Target): Promise<PartFile>;
  /** Sync, rename to the final name, sync the directory; returns the final path. Idempotent after a crash (F97). */
  commit(target: Target, part: PartFile): Promise<TargetPath>;
  /**
   * Gives content that was found in its place beforehand (`Plan.present`) the name of this download as well, so that it
   * does not go with the last other name it had. False when it has gone meanwhile.
   */
  keep?(target: Target): Promise<boolean>;
  /** After all files: refs and links of the hf-cache layout. */
  finish(input: PlanInput, plan: Plan): Promise<void>;
  /** Removes the partial files and folders left empty by them. */
  discard(targets: readonly Target[]): Promise<void>;
  /** Removes a finished file (through the layout's links) that lies inside a models directory of ours. */
  remove(path: TargetPath): Promise<void>;
  stat(path: TargetPath): Promise<StoredFile>;
  /**
   * The file or folder a client's path names inside the models directory, links followed; undefined when nothing is
   * there or it lies outside.
   */
  locate?(text: string): Promise<TargetPath | undefined>;
  /** Free bytes on the volume that will hold `path`, less what is reserved. Rejects `volume_gone`. */
  free(path: TargetPath): Promise<number>;
  /** Reserves space for bytes still to come; throws `no_space` when they do not fit. Release when done. */
  reserve(path: TargetPath, bytes: number): Promise<Reservation>;
  /** For `GET /v1/storage`. */
  usage(): Promise<Usage>;
}

export interface Usage {
  freeBytes: number;
  reservedBytes: number;
  /** In files that are complete. */
  modelsBytes: number;
  /** In partial files. */
  partialBytes: number;
}

export interface Reservation {
  /** Bytes that have arrived on disk need no reservation any more. */
  shrink(bytes: number): void;
  release(): void;
}

/** Digests of files, computed off the event loop. */
export interface Digests {
  /** Whole file; `onProgress` gets bytes hashed so far. */
  file(
    path: TargetPath,
    algorithm: Digest["algorithm"],
    signal?: AbortSignal,
    onProgress?: (bytes: number) => void,
  ): Promise<Digest>;
}
