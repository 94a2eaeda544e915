/** Files on disk as people think of them: what one download brought is one model. */
import type { ModelFile, State } from "../../state/types.ts";

export interface Model {
  /** Of the download. */
  id: string;
  name: string;
  provider: string;
  repo: string | undefined;
  /** In the order of their paths. */
  files: readonly ModelFile[];
  size: number;
  /** Of its download, as the list of files told it; undefined when its record is gone. */
  state: State | undefined;
  /** Newest file, epoch milliseconds. */
  completedAt: number | undefined;
  /** The file, or the folder that all of its files are in. */
  path: string | undefined;
}

export type Trust = ModelFile["verification"];

/** The weakest first. */
const WEAKEST: readonly Trust[] = ["missing", "damaged", "changed", "unverified"];

/** What is known of the bytes: the weakest of all files says it. */
export function trustIn(files: readonly ModelFile[]): Trust {
  const known = new Set(files.map(({ verification }) => verification));
  return WEAKEST.find((trust) => known.has(trust)) ?? "verified";
}

/** Newest first. */
export function modelsOf(files: readonly ModelFile[]): Model[] {
  const groups = Map.groupBy(files, ({ download_id }) => download_id);
  return [...groups].map(([id, members]) => modelOf(id, members)).sort(compare);
}

const compare = (a: Model, b: Model): number =>
  (b.completedAt ?? 0) - (a.completedAt ?? 0) || (a.name < b.name ? -1 : 1);

function modelOf(id: string, members: readonly ModelFile[]): Model {
  const files = [...members].sort((a, b) => (a.path < b.path ? -1 : 1));
  const [{ model_id, provider, repo_id, download_state }] = files as [ModelFile];
  const times = files.flatMap(({ completed_at }) => completed_at ?? []);
  return {
    id,
    name: model_id,
    provider,
    repo: repo_id,
    files,
    size: files.reduce((sum, { size }) => sum + size, 0),
    state: download_state,
    completedAt: times.length === 0 ? undefined : times.reduce((a, b) => Math.max(a, b)),
    path: commonPath(files.flatMap(({ local_path }) => local_path ?? [])),
  };
}

/** The path itself of one; of several the folder they share. */
export function commonPath(paths: readonly string[]): string | undefined {
  const [first, ...rest] = paths;
  if (first === undefined || rest.length === 0) return first;
  // The server may run on Windows.
  const separator = first.includes("/") ? "/" : "\\";
  const parts = first.split(separator).slice(0, -1);
  let shared = parts.length;
  for (const path of rest) {
    const others = path.split(separator).slice(0, -1);
    let same = 0;
    while (same < shared && parts[same] === others[same]) same += 1;
    shared = same;
  }
  return parts.slice(0, shared).join(separator) || separator;
}

export function matches({ name, repo, files }: Model, search: string): boolean {
  const wanted = search.trim().toLowerCase();
  const hit = (text: string | undefined): boolean => text?.toLowerCase().includes(wanted) === true;
  return wanted === "" || hit(name) || hit(repo) || files.some(({ path }) => hit(path));
}
