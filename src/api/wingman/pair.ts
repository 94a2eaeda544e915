import type { Download } from "../../core/download.ts";
import type { Downloads } from "../../core/downloads.ts";
import { names } from "../names.ts";

/** What this family names a download by: repository and path of a file in it. */
export interface Pair {
  repo: string;
  file: string;
}

type Named = Pick<Download, "source" | "repo" | "modelId" | "localPath">;

/** Of every download, whoever started it (A24). A hub's repository is spelled as it was asked for: clients look for that. */
export function pairOf(download: Named): Pair {
  const { repo, file } = names(download as Download);
  return { repo: download.source.repo ?? repo, file };
}

/** The same under the hub's own spelling of the repository. */
export const canonicalPairOf = (download: Named): Pair => names(download as Download);

/** Different for different pairs: `a/b` + `c` is not `a` + `b/c`. */
export const keyOf = ({ repo, file }: Pair): string => JSON.stringify([repo, file]);

/** Whether it has a progress file (A24). */
export const isTracked = ({ source }: Pick<Download, "source">): boolean =>
  source.repo !== undefined && source.files?.length === 1;

const OWN_PROVIDERS = new Set(["huggingface", "mlx"]);
/** The hub's default branch, which is what `/api/download` means. */
const BRANCH = "main";

/** Whether it brings what `/api/download` would: that file of the Hugging Face hub as it is now, not of some other version. */
export const isOwn = ({ source }: Pick<Download, "source">): boolean =>
  isTracked({ source }) && OWN_PROVIDERS.has(source.provider) && (source.revision ?? BRANCH) === BRANCH;

/**
 * Whether its file has gone since it was completed. It is as if the pair had never been asked for then: `/api/download`
 * brings it again (A22), and nothing may say that it is there.
 */
export async function isGone(downloads: Pick<Downloads, "disk">, download: Download): Promise<boolean> {
  return download.state === "completed" && isTracked(download) && !(await downloads.disk.holds(download));
}
