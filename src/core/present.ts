import type { Judged } from "./admission.ts";
import type { Tools } from "./attempt.ts";
import { contentKey, type Download, type File, type SourceRef, type UncheckedDigest } from "./download.ts";
import { allRows } from "./pages.ts";
import type { Database, DownloadFilter } from "./ports.ts";
import { knownTarget, type TargetPath } from "./target-path.ts";

/** A model that is on disk, whoever asked for it. */
export interface Present {
  /** The file, or the folder of a many-file model. */
  path: TargetPath;
  /** What brought it; null when somebody put it there. */
  downloadId: string | null;
}

/**
 * Whether what a request asks for is complete on disk (R41): brought by any download in any layout, alone or as part
 * of its repository, or put by hand where a download would put it. Looks at names and sizes; asks no hub.
 */
export async function findPresent(tools: Tools, { ref, layout }: Judged): Promise<Present | undefined> {
  for (const row of await candidates(tools.db, ref)) {
    const path = await placeIn(tools, row, ref);
    if (path !== undefined) return { path, downloadId: row.id };
  }
  const path = await putByHand(tools, ref, layout);
  return path === undefined ? undefined : { path, downloadId: null };
}

/** Newest first. */
async function candidates(db: Database, ref: SourceRef): Promise<Download[]> {
  const q = ref.repo ?? ref.filename;
  const filter: DownloadFilter = { provider: ref.provider, ...(q === undefined ? {} : { q }) };
  return (await allRows(db, filter)).reverse();
}

/** Whether both mean the same thing at the remote end, in whatever layout it is kept. */
export const isSameContent = (a: SourceRef, b: SourceRef): boolean => bare(a) === bare(b);

/** Keys begin with their layout (`judge`). */
function bare(ref: SourceRef): string {
  const key = contentKey(ref);
  return key.slice(key.indexOf(" ") + 1);
}

async function placeIn(tools: Tools, row: Download, ref: SourceRef): Promise<TargetPath | undefined> {
  const [only] = ref.files?.length === 1 ? ref.files : [];
  if (ref.repo !== undefined && only !== undefined) {
    if (!isSameRepo(row, ref)) return undefined;
    const file = (await tools.db.files(row.id)).find(({ path }) => path === only);
    return file && hasDigest(file, ref.digest) && (await isThere(tools, file)) ? file.target! : undefined;
  }
  if (!isSameContent(row.source, ref)) return undefined;
  const files = await tools.db.files(row.id);
  if (files.length === 0 || files.length < row.filesTotal) return undefined;
  for (const file of files) if (!(await isThere(tools, file))) return undefined;
  return row.localPath === null ? undefined : knownTarget(row.localPath);
}

function isSameRepo({ source, repo, commit }: Download, ref: SourceRef): boolean {
  const names = [repo, source.repo].map((name) => name?.toLowerCase());
  const isRevision = [source.revision, commit].includes(ref.revision);
  return isRevision && names.includes(ref.repo?.toLowerCase());
}

const hasDigest = (file: File, wanted: UncheckedDigest | undefined): boolean =>
  wanted === undefined || [file.digest, file.computed].some((known) => known?.hex === wanted.hex);

async function isThere({ storage }: Tools, file: File): Promise<boolean> {
  if (file.state !== "done" || file.target === null) return false;
  const stored = await storage.stat(file.target);
  return stored.exists && stored.size === file.size;
}

/**
 * A file under the very name that a download would give it, of which no record knows. Not where the name says too
 * little: a query may choose another file under it, and a promised digest would have to be computed first.
 */
async function putByHand(
  { db, storage }: Tools,
  ref: SourceRef,
  layout: Download["layout"],
): Promise<TargetPath | undefined> {
  const name = ref.files?.length === 1 ? ref.files[0] : ref.repo === undefined ? ref.filename : undefined;
  if (name === undefined || !/[^./]\.[^./]+$/.test(name) || ref.digest || ref.url.includes("?"))
    return undefined;
  const path = storage.expected?.(ref, layout) ?? undefined;
  if (path === undefined || !(await storage.stat(path)).exists) return undefined;
  return (await db.filesByTarget(path)).length === 0 ? path : undefined;
}
