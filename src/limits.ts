import { readFileSync } from "node:fs";

/** Most live streams, however many descriptors there are (F213). */
const MOST_READERS = 20_000;
/** Of the descriptors so many, or half of few, are kept for requests, downloads and files. */
const RESERVED = 4096;

/** How many live streams there is room for when the process may have so many descriptors. */
export const roomForReaders = (descriptors: number): number =>
  Math.min(MOST_READERS, Math.floor(descriptors - Math.min(RESERVED, descriptors / 2)));

/** Descriptors this process may have; Bun raises the soft limit to the hard one. Infinite where nobody says. */
export function mostDescriptors(): number {
  try {
    const hard = /^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return hard === undefined ? Number.POSITIVE_INFINITY : Number(hard);
  } catch {
    // Not Linux.
    return Number.POSITIVE_INFINITY;
  }
}
