import { literal, sha256 } from "../bytes.ts";
import type { Entry } from "./entry.ts";
import type { Commit, Repo } from "./repo.ts";

const STARS = "*".repeat(64);

export interface ListingOptions {
  /** Digests become stars (§3.2). */
  masked: boolean;
  /** `lastCommit` and `securityFileStatus` too. */
  expand: boolean;
  xet: boolean;
}

/** A file as the tree and paths-info show it. */
export function fileItem(entry: Entry, commit: Commit, { masked, expand, xet }: ListingOptions): object {
  return {
    type: "file",
    oid: entry.oid,
    size: entry.size,
    path: entry.path,
    ...(entry.isLfs ? { lfs: lfsItem(entry, "oid", masked) } : {}),
    ...(entry.isLfs && xet ? { xetHash: masked ? STARS : entry.xetHash } : {}),
    ...(expand ? expansion(commit) : {}),
  };
}

/** The digest is called `oid` in listings and `sha256` in the model info. */
export function lfsItem(entry: Entry, digest: "oid" | "sha256", masked: boolean): object {
  return { [digest]: masked ? STARS : entry.sha256, size: entry.size, pointerSize: entry.blobContent.size };
}

const commitItem = ({ id, title, date }: Commit): object => ({ id, title, date });

function expansion(commit: Commit): object {
  const unscanned = { status: "unscanned" };
  return {
    lastCommit: commitItem(commit),
    securityFileStatus: { status: "unscanned", avScan: unscanned, pickleImportScan: unscanned },
  };
}

export function folderItem(repo: Repo, path: string, commit: Commit, { expand }: ListingOptions): object {
  const oid = sha256(literal(`tree ${repo.id} ${path}`)).slice(0, 40);
  return { type: "directory", oid, size: 0, path, ...(expand ? { lastCommit: commitItem(commit) } : {}) };
}

/** Every folder that holds a file, directly or further down. Names that lead out of the tree make none. */
export function foldersOf(commit: Commit): Set<string> {
  const folders = new Set<string>();
  for (const path of commit.files.keys()) {
    const parts = path.split("/");
    if (parts.includes("..") || parts[0] === "") continue;
    for (let depth = 1; depth < parts.length; depth++) folders.add(parts.slice(0, depth).join("/"));
  }
  return folders;
}

/** What is listed below a folder (`""` is the root): everything, or its own level only. Undefined: no such folder. */
export function treeOf(
  repo: Repo,
  commit: Commit,
  folder: string,
  recursive: boolean,
  options: ListingOptions,
): object[] | undefined {
  const folders = foldersOf(commit);
  if (folder !== "" && !folders.has(folder)) return undefined;
  const prefix = folder === "" ? "" : `${folder}/`;
  const outward = (path: string): boolean => path.startsWith("/") || path.split("/").includes("..");
  const here = (path: string): boolean => {
    if (!path.startsWith(prefix) || path === folder) return false;
    return recursive || outward(path) || !path.slice(prefix.length).includes("/");
  };
  return [
    ...[...folders].filter(here).map((path) => folderItem(repo, path, commit, options)),
    ...[...commit.files.values()].filter((it) => here(it.path)).map((it) => fileItem(it, commit, options)),
  ];
}

/** One page of a list, and the cursor of the next. A cursor is opaque to clients. */
export function page<T>(
  items: readonly T[],
  cursor: string | null,
  size: number,
): { items: T[]; next?: string } {
  const from = cursor ? Number(Buffer.from(cursor, "base64url").toString().replace("at:", "")) || 0 : 0;
  const end = from + size;
  const next = end < items.length ? Buffer.from(`at:${end}`).toString("base64url") : undefined;
  return { items: items.slice(from, end), next };
}
