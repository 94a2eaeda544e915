import { dlopen, FFIType } from "bun:ffi";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join, relative } from "node:path";
import type { Place } from "./plant.ts";

/** The one file that may hold secrets, and the one that replaces it while a daemon runs. */
const SECRETS = "secrets.json";
const NEXT_SECRETS = "secrets.json.new";

export interface Traces {
  places: Place[];
  files: number;
  /** Of each file of secrets that was found, its permissions and owner. */
  keepers: { path: string; mode: number; uid: number }[];
}

/** Everything below a folder: names, contents, targets of links, extended attributes. */
export function tracesBelow(dir: string, moment: string, isRunning = true): Traces {
  const traces: Traces = { places: [], files: 0, keepers: [] };
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = `${moment}: ${relative(dir, path)}`;
    const info = lstatSync(path, { throwIfNoEntry: false });
    if (!info) continue;
    traces.files += 1;
    traces.places.push({ name: `the name ${name}`, content: Buffer.from(relative(dir, path)) });
    traces.places.push({ name: `attributes of ${name}`, content: attributesOf(path) });
    if (info.isSymbolicLink())
      traces.places.push({ name: `link ${name}`, content: Buffer.from(readlinkSync(path)) });
    const isKeeper = entry.name === SECRETS || (isRunning && entry.name === NEXT_SECRETS);
    if (isKeeper) traces.keepers.push({ path: name, mode: info.mode & 0o777, uid: info.uid });
    else if (info.isFile()) traces.places.push({ name, content: contentOf(path) });
  }
  return traces;
}

/** A file may go while it is looked at. */
function contentOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}

/** What processes of that home directory show of themselves; the environment of `own` is its user's own doing. */
export function processesOf(home: string, own: number): Place[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const environment = contentOf(`/proc/${pid}/environ`);
      if (!environment.includes(`HOME=${home}\0`)) return [];
      const line = { name: `command line of process ${pid}`, content: contentOf(`/proc/${pid}/cmdline`) };
      if (Number(pid) === own) return [line];
      return [line, { name: `environment of its child ${pid}`, content: environment }];
    });
}

const { cstring, ptr, u64, i64 } = FFIType;

function open() {
  return dlopen("libc.so.6", {
    llistxattr: { args: [cstring, ptr, u64], returns: i64 },
    lgetxattr: { args: [cstring, cstring, ptr, u64], returns: i64 },
  }).symbols;
}

let libc: ReturnType<typeof open> | undefined;
const BUFFER = Buffer.alloc(64 * 1024);

/** Names and values of a file's extended attributes, one after the other (F195). */
export function attributesOf(path: string): Buffer {
  libc ??= open();
  const text = (value: string): Buffer => Buffer.from(`${value}\0`);
  const length = Number(libc.llistxattr(text(path), BUFFER, BUFFER.length));
  if (length <= 0) return Buffer.alloc(0);
  const names = Buffer.from(BUFFER.subarray(0, length));
  const values = names
    .toString("latin1")
    .split("\0")
    .filter((name) => name !== "")
    .map((name) => {
      const size = Number(libc?.lgetxattr(text(path), text(name), BUFFER, BUFFER.length) ?? 0);
      return Buffer.from(BUFFER.subarray(0, Math.max(0, size)));
    });
  return Buffer.concat([names, ...values]);
}
