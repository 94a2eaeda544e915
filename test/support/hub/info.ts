import type { Entry } from "./entry.ts";
import { lfsItem } from "./listing.ts";
import type { Commit, Repo } from "./repo.ts";

export interface InfoOptions {
  /** Sizes and digests of the files too. */
  blobs: boolean;
  masked: boolean;
}

/** The model info, keys in the order in which the Hub has been seen to send them (protocols/huggingface.md §3.1). */
export function infoOf(repo: Repo, commit: Commit, { blobs, masked }: InfoOptions): Record<string, unknown> {
  const { pipeline_tag, library_name, tags = [], downloads = 12, likes = 3, ...rest } = repo.spec.info ?? {};
  const files = [...commit.files.values()];
  return dropUndefined({
    _id: repo.objectId,
    id: repo.id,
    private: repo.spec.private ?? false,
    pipeline_tag,
    library_name,
    tags,
    downloads,
    likes,
    modelId: repo.type === "model" ? repo.id : undefined,
    author: repo.author || undefined,
    sha: commit.id,
    lastModified: commit.date,
    gated: repo.spec.gated ?? false,
    disabled: repo.spec.disabled ?? false,
    ...rest,
    siblings: files.map((entry) => sibling(entry, blobs, masked)),
    spaces: [],
    createdAt: repo.createdAt,
    usedStorage: files.filter((it) => it.isLfs).reduce((sum, it) => sum + it.size, 0),
  });
}

function sibling(entry: Entry, blobs: boolean, masked: boolean): object {
  if (!blobs) return { rfilename: entry.path };
  const lfs = entry.isLfs ? { lfs: lfsItem(entry, "sha256", masked) } : {};
  return { rfilename: entry.path, blobId: entry.oid, size: entry.size, ...lfs };
}

function dropUndefined(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}

/** `expand=a&expand=b`: only the ids and what was named. */
export function expanded(info: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(info).filter(([key]) => key === "_id" || key === "id" || names.includes(key)),
  );
}

/** An item of `GET /api/models`. */
export function listItem(repo: Repo, commit: Commit, full: boolean): Record<string, unknown> {
  const info = infoOf(repo, commit, { blobs: false, masked: false });
  const keys = [
    "_id",
    "id",
    "likes",
    "private",
    "downloads",
    "tags",
    "pipeline_tag",
    "library_name",
    "createdAt",
    "modelId",
  ];
  return expanded(
    info,
    full ? [...keys, "author", "sha", "lastModified", "gated", "disabled", "siblings"] : keys,
  );
}
