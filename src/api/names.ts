import type { Download } from "../core/download.ts";

/**
 * Repository and file as strings for every download (A24): of a URL its model id and its file name, of a whole
 * repository an empty file name.
 */
export function names({ source, repo, modelId, localPath }: Download): { repo: string; file: string } {
  const hub = repo ?? source.repo;
  if (hub !== undefined)
    return { repo: hub, file: source.files?.length === 1 ? (source.files[0] ?? "") : "" };
  const file = localPath ?? source.filename ?? URL.parse(source.url)?.pathname ?? "";
  return { repo: modelId, file: lastSegment(file) };
}

const lastSegment = (path: string): string =>
  path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
