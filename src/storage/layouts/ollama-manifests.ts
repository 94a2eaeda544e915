import { join } from "node:path";
import { type DigestHex, parseNamedDigest } from "../../core/download.ts";
import type { Disk } from "../disk.ts";
import { ifThere } from "../errors.ts";

/** A blob that a manifest names. */
export interface NamedBlob {
  hex: DigestHex;
  size: number | null;
}

export const BLOB_PREFIX = "sha256-";
/** `sha256-…` in `blobs/`: a dash, for a colon cannot stand in a name everywhere (protocols/ollama.md §6). */
export const blobName = (hex: DigestHex): string => `${BLOB_PREFIX}${hex}`;

/** What a manifest names: its config and its layers. Undefined for text that is no manifest. */
export function blobsOf(text: string): NamedBlob[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const layers: unknown[] = Array.isArray(value.layers) ? value.layers : [];
  return [...layers, value.config].flatMap((entry) => {
    const { digest, size } = isRecord(entry) ? entry : {};
    const hex = typeof digest === "string" ? parseNamedDigest(digest)?.hex : undefined;
    return hex === undefined ? [] : [{ hex, size: Number.isSafeInteger(size) ? Number(size) : null }];
  });
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Digests that any model of the directory names. Undefined when a manifest cannot be read: nobody knows then what it
 * needs, so nothing may be taken away.
 */
export async function namedDigests(disk: Disk, manifests: string): Promise<ReadonlySet<string> | undefined> {
  const named = new Set<string>();
  const entries = (await ifThere(disk.readdir(manifests, { recursive: true, withFileTypes: true }))) ?? [];
  for (const entry of entries) {
    if (entry.isDirectory()) continue;
    const text = await ifThere(disk.readFile(join(entry.parentPath, entry.name), "utf8"));
    if (text === undefined) continue;
    const blobs = blobsOf(text);
    if (blobs === undefined) return undefined;
    for (const { hex } of blobs) named.add(hex);
  }
  return named;
}
