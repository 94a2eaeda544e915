import { join } from "node:path";

/** One system call of a trace, at the moment it began or at the one it had ended. */
export interface Step {
  call: string;
  when: "begins" | "ended";
  /** Thread, by which a beginning and its end belong together. */
  thread: number;
  /** Paths of its descriptors and arguments, in order; relative ones as they were given. */
  paths: string[];
  /** What it wrote, for `pwrite64`. */
  data?: Uint8Array;
  offset?: number;
  /** It was cut short in the trace: more was written than `data` has. */
  isCut?: boolean;
  failed?: boolean;
}

const WRITES = ["write", "writev", "pwrite64", "pwritev", "pwritev2", "ftruncate", "fallocate"];
const SYNCS = ["fsync", "fdatasync"];
const NAMES = ["rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"];
export const isWrite = (call: string): boolean => WRITES.includes(call);
export const isSync = (call: string): boolean => SYNCS.includes(call);
export const isNaming = (call: string): boolean => NAMES.includes(call);

/** More than a page of SQLite. */
const STRING_BYTES = 4200;

/** A tracer of every call that orders data, names and the database, all strings in hexadecimal, into a file. */
export const tracer = (file: string): string[] => [
  ...["strace", "--seccomp-bpf", "-f", "-y", "-xx", "-qqq", "-s", String(STRING_BYTES)],
  ...["-e", "signal=none", "-e", `trace=${[...WRITES, ...SYNCS, ...NAMES].map((it) => `?${it}`).join()}`],
  ...["-o", file],
];

const LINE = /^(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)$/;

/** The steps of a trace in the order in which the tracer saw them. */
export function* stepsOf(lines: Iterable<string>): Generator<Step> {
  /** Calls that have begun on a thread and not ended. */
  const open = new Map<number, Step>();
  for (const line of lines) {
    const [, pid, resumed, begun, rest = ""] = LINE.exec(line) ?? [];
    if (pid === undefined) continue;
    const thread = Number(pid);
    if (resumed !== undefined) {
      const step = open.get(thread);
      open.delete(thread);
      if (step) yield { ...step, when: "ended", failed: hasFailed(rest) };
      continue;
    }
    const step: Step = { call: begun!, when: "begins", thread, ...argumentsOf(begun!, rest) };
    yield step;
    if (rest.endsWith("<unfinished ...>")) open.set(thread, step);
    else yield { ...step, when: "ended", failed: hasFailed(rest) };
  }
}

const hasFailed = (rest: string): boolean => !/\) += \d/.test(rest);

/** Descriptors as `12</path>`, strings as `"/path"`, a directory before a relative name in the calls that end in `at`. */
function argumentsOf(call: string, text: string): Omit<Step, "call" | "when" | "thread"> {
  if (call === "pwrite64") {
    const [, path = "", data = "", cut, offset] =
      /^\d+<([^>]*)>, "((?:\\x[0-9a-f]{2})*)"(\.\.\.)?, \d+, (\d+)/.exec(text) ?? [];
    return { paths: [decoded(path)], data: bytesOf(data), offset: Number(offset), isCut: cut !== undefined };
  }
  if (!isNaming(call)) return { paths: [decoded(/^\d+<([^>]*)>/.exec(text)?.[1] ?? "")] };
  const found = text.matchAll(/(?:\b(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:\\x[0-9a-f]{2})*)"/g);
  return {
    paths: [...found].map(([, dir, name = ""]) => {
      const path = decoded(name);
      return dir === undefined || path.startsWith("/") ? path : join(decoded(dir), path);
    }),
  };
}

const bytesOf = (text: string): Uint8Array => Uint8Array.fromHex(text.replaceAll("\\x", ""));

/** As the tracer writes it: `\x2f\x61`, or plainly where it was told to. */
const decoded = (text: string): string =>
  text.startsWith("\\x") ? Buffer.from(bytesOf(text)).toString() : text;
