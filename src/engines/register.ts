import { open, readdir, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { DownloadError } from "../core/errors.ts";
import type { EngineRuntime } from "../core/ports.ts";

/** Enough for every magic number, the pointer's first line and the start of an HTML page. */
const HEAD_BYTES = 512;
const LFS_POINTER = "version https://git-lfs.github.com/spec/";
const HTML = /^\s*<(!doctype|html|head|body)/i;
/** A safetensors header is JSON behind its own length; larger ones are refused by the format's own readers. */
const LARGEST_SAFETENSORS_HEADER = 100_000_000;

/** The default runtime (A16): reads the head of the file, refuses what is no model, keeps the record. Starts nothing. */
export const register: EngineRuntime = {
  name: "register",
  async create(spec, path) {
    const file = await modelFile(path);
    const { head, size } = await readHead(file);
    const warnings = judge(file, head, size);
    const state = spec.loadImmediately ? "loaded" : "created";
    return { state, warnings, endpoint: null, details: null, modelType: spec.modelType };
  },
};

/** The file itself, or of a folder the first that a model loader would open. */
async function modelFile(path: string): Promise<string> {
  const info = await stat(path).catch((cause) => {
    throw new DownloadError("engine_failed", `The model file '${path}' cannot be read.`, { cause });
  });
  if (!info.isDirectory()) return path;
  const names = (await readdir(path)).sort();
  const name = [".gguf", ".safetensors", ".bin", ".pt"]
    .map((e) => names.find((n) => n.endsWith(e)))
    .find((n) => n !== undefined);
  if (name !== undefined) return join(path, name);
  throw new DownloadError(
    "engine_failed",
    `The folder '${path}' holds no model file (.gguf, .safetensors, .bin or .pt).`,
  );
}

async function readHead(path: string): Promise<{ head: Buffer; size: number }> {
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return { head: buffer.subarray(0, bytesRead), size };
  } finally {
    await handle.close();
  }
}

/** Throws `engine_failed` for what is certainly no model; returns warnings for what is only odd. */
function judge(path: string, head: Buffer, size: number): string[] {
  const text = head.toString("latin1");
  if (size === 0) throw refused(path, "it is empty");
  if (text.startsWith(LFS_POINTER)) throw refused(path, "it is a Git LFS pointer, not the file it points to");
  if (HTML.test(text)) throw refused(path, "it is an HTML page");
  const extension = extname(path).toLowerCase();
  if (extension === ".gguf" && !text.startsWith("GGUF"))
    throw refused(path, "its header is not that of a GGUF file");
  if (extension === ".safetensors") {
    const length = head.length >= 8 ? head.readBigUInt64LE(0) : 0n;
    const plausible =
      length > 1n && length <= BigInt(Math.min(size - 8, LARGEST_SAFETENSORS_HEADER)) && text[8] === "{";
    if (!plausible) throw refused(path, "its header is not that of a safetensors file");
  }
  return [];
}

function refused(path: string, why: string): DownloadError {
  return new DownloadError(
    "engine_failed",
    `No engine was created for '${path}': ${why}. The downloaded file stays.`,
  );
}
