import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { bytesAt } from "../support/bytes.ts";
import { MIB } from "./row.ts";

export interface MadeFile {
  name: string;
  path: string;
  size: number;
  sha256: string;
}

/** A file of `size` bytes from `seed` in `root`, made once for all rows, with its digest; read once into the page cache. */
export function makeFile(root: string, name: string, seed: number, size: number): MadeFile {
  mkdirSync(root, { recursive: true });
  const path = join(root, name);
  const note = `${path}.sha256`;
  if (!existsSync(note) || statSync(path).size !== size) writeFileSync(note, write(path, seed, size));
  return { name, path, size, sha256: readFileSync(note, "utf8") };
}

function write(path: string, seed: number, size: number): string {
  const hasher = new Bun.CryptoHasher("sha256");
  const file = openSync(path, "w");
  for (let at = 0; at < size; at += MIB) {
    const bytes = bytesAt(seed, at, Math.min(MIB, size - at));
    hasher.update(bytes);
    writeSync(file, bytes);
  }
  closeSync(file);
  return hasher.digest("hex");
}

/** Throws unless the file has exactly this content. */
export async function mustBe(path: string, sha256: string): Promise<void> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const chunk of Bun.file(path).stream()) hasher.update(chunk);
  const found = hasher.digest("hex");
  if (found !== sha256) throw new Error(`wrong content: ${path} has SHA-256 ${found}`);
}
