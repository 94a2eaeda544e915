/** Which files of a path make up the model. */
import type { Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** As model loaders look for them. */
const SUFFIXES = [".gguf", ".safetensors", ".bin", ".pt", ".pth", ".onnx"];
const SHARD = /^(.*)-(\d{5})-of-(\d{5})(\.[a-z]+)$/i;
/** A projector or an importance matrix goes with a model, it is none. */
const COMPANION = /^(mmproj|imatrix)|[.-](mmproj|imatrix)\b/i;
const DEEPEST = 3;
const MOST_ENTRIES = 20_000;

export interface ModelFiles {
  /** The file that a loader opens: the only one, or the first of a set. */
  first: string;
  /** All of the set that are there, the first first. */
  all: string[];
  /** Shards the names speak of; 1 for a single file. */
  expected: number;
}

/** Undefined for a folder without a model; only `among` count in it, when given. Rejects when the path cannot be read. */
export async function modelFiles(path: string, among?: readonly string[]): Promise<ModelFiles | undefined> {
  const info = await stat(path);
  if (!info.isDirectory()) return set(path);
  const found =
    among?.filter((file) => !COMPANION.test(basename(file))) ??
    (await walk(path, DEEPEST, { left: MOST_ENTRIES }));
  for (const suffix of SUFFIXES) {
    const [first] = found.filter((name) => name.toLowerCase().endsWith(suffix)).sort();
    if (first !== undefined) return set(first);
  }
  return undefined;
}

/** The shallower first, so that a subfolder's other model is not taken before the one on top. */
async function walk(folder: string, depth: number, budget: { left: number }): Promise<string[]> {
  const entries: Dirent[] = await readdir(folder, { withFileTypes: true });
  const files: string[] = [];
  const folders: string[] = [];
  for (const entry of entries) {
    if (budget.left-- <= 0) break;
    if (entry.name.startsWith(".") || COMPANION.test(entry.name)) continue;
    if (entry.isDirectory()) folders.push(join(folder, entry.name));
    else files.push(join(folder, entry.name));
  }
  if (files.some((name) => SUFFIXES.some((s) => name.toLowerCase().endsWith(s))) || depth === 0) return files;
  for (const inner of folders.sort()) files.push(...(await walk(inner, depth - 1, budget)));
  return files;
}

/** A shard stands for its set: those of its folder with the same name and count. */
async function set(path: string): Promise<ModelFiles> {
  const match = SHARD.exec(basename(path));
  if (!match) return { first: path, all: [path], expected: 1 };
  const [, stem, , count, suffix] = match;
  const folder = dirname(path);
  const names = await readdir(folder);
  const shards = names.filter((name) => {
    const other = SHARD.exec(name);
    return other?.[1] === stem && other?.[3] === count && other?.[4] === suffix;
  });
  const all = shards.sort().map((name) => join(folder, name));
  return { first: all[0] ?? path, all, expected: Number(count) };
}
