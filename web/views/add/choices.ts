/** What can be chosen of a repository: files that belong together are one choice. */
import type { RemoteFile, RemoteListing, StartBody } from "../../state/types.ts";
import { preference } from "./quantizations.ts";

export interface Choice {
  /** Path, or the pattern of a split set. */
  key: string;
  /** A model by itself, or something that goes with one (card, configuration, projector). */
  kind: "model" | "other";
  /** Bytes; 0 when the hub does not say. */
  size: number;
  paths: readonly string[];
  quantization?: string;
  /** Files that a split set lacks on the hub. */
  missing: number;
}

export interface Choices {
  models: readonly Choice[];
  others: readonly Choice[];
}

/** Most patterns of one request (F209). */
const MOST_PATTERNS = 100;
/** GGUF files beside a model that are none by themselves. */
const BESIDE = /(?:^|[/._-])(?:mmproj|imatrix)(?:[._-]|$)/i;

/** Models in the order of their size, then everything else by name. */
export function choicesOf({ files }: RemoteListing): Choices {
  const sets = Map.groupBy(files, (file) => file.shard_set ?? file.path);
  const all = [...sets].map(([key, members]) => choice(key, members));
  return {
    models: all.filter(({ kind }) => kind === "model").sort((a, b) => a.size - b.size || compare(a, b)),
    others: all.filter(({ kind }) => kind === "other").sort(compare),
  };
}

const compare = (a: Choice, b: Choice): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);

function choice(key: string, members: readonly RemoteFile[]): Choice {
  const [{ quantization, shard, path } = members[0]!] = members;
  const isModel = /\.gguf$/i.test(path) && !BESIDE.test(path);
  return {
    key,
    kind: isModel ? "model" : "other",
    size: members.reduce((sum, file) => sum + file.size, 0),
    paths: members.map((file) => file.path),
    missing: shard ? shard.count - members.length : 0,
    ...(isModel && quantization !== undefined ? { quantization } : {}),
  };
}

/**
 * Keys to begin with: the file or set asked for, else the usual quantization among those that fit into `free` bytes
 * (the smallest, where none does), else, without models to choose from, everything.
 */
export function preselect(choices: Choices, free: number | undefined, filename?: string): string[] {
  const all = [...choices.models, ...choices.others];
  if (filename !== undefined) {
    const named = all.find(({ paths }) => paths.includes(filename));
    return named ? [named.key] : [];
  }
  const models = choices.models.filter(({ missing }) => missing === 0);
  if (models.length === 0) return all.map(({ key }) => key);
  const fitting = models.filter(({ size }) => free === undefined || size <= free);
  const [best] = fitting.sort((a, b) => preference(a.quantization) - preference(b.quantization));
  return [(best ?? models[0]!).key];
}

export type Selection = Pick<StartBody, "filename" | "include" | "exclude">;

/** The request's words for what is chosen; undefined when it cannot be said in one request. */
export function selectionOf({ models, others }: Choices, chosen: ReadonlySet<string>): Selection | undefined {
  const all = [...models, ...others];
  const picked = all.filter(({ key }) => chosen.has(key));
  if (picked.length === 0) return undefined;
  if (picked.length === all.length) return {};
  const [only] = picked;
  if (picked.length === 1 && only?.paths.length === 1) return { filename: only.paths[0]! };
  if (picked.length <= MOST_PATTERNS) return { include: picked.map(patternOf) };
  const rest = all.filter(({ key }) => !chosen.has(key));
  return rest.length <= MOST_PATTERNS ? { exclude: rest.map(patternOf) } : undefined;
}

/** The key of a set is its pattern; of a path nothing means more than itself. */
const patternOf = ({ key, paths }: Choice): string =>
  paths.length === 1 && paths[0] === key ? key.replace(/[[*?]/g, "[$&]") : key;

export const sizeOf = ({ models, others }: Choices, chosen: ReadonlySet<string>): number =>
  [...models, ...others].reduce((sum, { key, size }) => (chosen.has(key) ? sum + size : sum), 0);
