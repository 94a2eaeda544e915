import fs, { fchmodSync, fstatSync, readlinkSync } from "node:fs";
import {
  access,
  chmod,
  copyFile,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rmdir,
  stat,
  statfs,
  symlink,
  unlink,
  writeFile,
} from "node:fs/promises";
import { promisify } from "node:util";
import type { TargetPath } from "../core/target-path.ts";

type Bytes = NodeJS.ArrayBufferView;

/** Bytes that went in or came out, which may be fewer than were asked for (F81). */
const counted =
  <A extends unknown[]>(call: (...args: [...A, (error: Error | null, count: number) => void]) => void) =>
  (...args: A): Promise<number> =>
    new Promise((resolve, reject) => {
      call(...args, (error, count) => (error ? reject(error) : resolve(count)));
    });

/**
 * All that this room asks of the file system, by the system's own names: what is open goes by its descriptor. Handed
 * in by whoever composes the rooms, so that each call can be made to fail (FAULTS G5).
 */
export const systemDisk = {
  access,
  chmod,
  copyFile,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rmdir,
  stat,
  statfs,
  symlink,
  unlink,
  writeFile,
  open: promisify(fs.open),
  close: promisify(fs.close),
  fsync: promisify(fs.fsync),
  fdatasync: promisify(fs.fdatasync),
  ftruncate: promisify(fs.ftruncate),
  read: counted((fd: number, into: Bytes, length: number, at: number, done: Done) =>
    fs.read(fd, into, 0, length, at, done),
  ),
  write: counted((fd: number, bytes: Bytes, at: number, done: Done) =>
    fs.write(fd, bytes, 0, bytes.byteLength, at, done),
  ),
  writev: counted((fd: number, chunks: readonly Bytes[], at: number, done: Done) =>
    fs.writev(fd, chunks, at, done),
  ),
  // What the kernel knows of an open file it tells at once, without a disk.
  fchmodSync,
  fstatSync,
  readlinkSync,
};

type Done = (error: Error | null, count: number) => void;

type System = typeof systemDisk;

/** What makes, changes or takes away a name takes a checked one (F124-F134); looking is free. */
interface Checked {
  chmod(path: TargetPath, mode: number): Promise<void>;
  copyFile(from: TargetPath, to: TargetPath, mode?: number): Promise<void>;
  link(from: TargetPath, to: TargetPath): Promise<void>;
  mkdir(path: TargetPath, options: { recursive: true; mode?: number }): Promise<string | undefined>;
  open(path: TargetPath, flags: string | number, mode?: number): Promise<number>;
  rename(from: TargetPath, to: TargetPath): Promise<void>;
  rmdir(path: TargetPath): Promise<void>;
  /** `to` is what the link says; `path` is the link. */
  symlink(to: string, path: TargetPath): Promise<void>;
  unlink(path: TargetPath): Promise<void>;
  writeFile(path: TargetPath, text: string, options: { flag: "wx"; flush?: boolean }): Promise<void>;
}

export type Disk = Readonly<Omit<System, keyof Checked> & Checked>;
