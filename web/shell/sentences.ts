import type { DownloadItem } from "../state/types.ts";

/** One sentence about downloads that have ended; those cancelled are not news to who did it. Pure. */
export function sentence(downloads: readonly Pick<DownloadItem, "state" | "model_id">[]): string {
  const part = (state: string): string[] => {
    const those = downloads.filter((download) => download.state === state);
    if (those.length === 0) return [];
    return [those.length === 1 ? `${those[0]!.model_id} ${state}` : `${those.length} downloads ${state}`];
  };
  return [...part("completed"), ...part("failed")].join(", ");
}
