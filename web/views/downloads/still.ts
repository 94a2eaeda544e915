/** What of a download stays as it is while it moves: most of a row need not be drawn again with each number. */
import { useRef } from "preact/hooks";
import type { DownloadItem } from "../../state/types.ts";

/** Members that change all the time. */
type Moving = "progress" | "timing" | "speed" | "connections" | "bottleneck";
const MOVING: Record<Moving, true> = {
  progress: true,
  timing: true,
  speed: true,
  connections: true,
  bottleneck: true,
};
export type Still = Omit<DownloadItem, Moving>;

const isSame = (a: unknown, b: unknown): boolean =>
  a === b || (typeof a === "object" && JSON.stringify(a) === JSON.stringify(b));

const stillParts = (download: Still): [string, unknown][] =>
  Object.entries(download).filter(([name]) => !Object.hasOwn(MOVING, name));

/** Whether nothing has changed but what changes all the time. */
export function isStill(before: Still, after: Still): boolean {
  const parts = stillParts(after);
  const known = before as unknown as Record<string, unknown>;
  return (
    parts.length === stillParts(before).length && parts.every(([name, part]) => isSame(part, known[name]))
  );
}

/** The download without what moves: the same object as long as nothing else has changed. */
export function useStill(download: DownloadItem): Still {
  const last = useRef<Still>(download);
  if (last.current !== download && !isStill(last.current, download)) last.current = download;
  return last.current;
}
