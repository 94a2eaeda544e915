import { Database } from "bun:sqlite";
import { basename, join } from "node:path";
import type { LoggedRequest } from "../support/origin.ts";

/** From where to where of a file, the end excluded. */
export type Span = [start: number, end: number];

/** What the daemon has written down as on disk when it had ended: by the name of the file. */
export function receiptsOf(dataDir: string): Map<string, Span[]> {
  const db = new Database(join(dataDir, "state.db"), { readonly: true });
  try {
    const rows = db
      .query<{ path: string; written: string; durable: string }, []>(
        "SELECT f.path, r.written, r.durable FROM receipts r JOIN files f ON f.id = r.file_id WHERE f.state = 'pending'",
      )
      .all();
    return new Map(
      rows.map(({ path, written, durable }) => [
        basename(path),
        merged([...spansOf(written), ...spansOf(durable)]),
      ]),
    );
  } finally {
    db.close();
  }
}

/** Flat arrays of start and length. */
function spansOf(text: string): Span[] {
  const flat = JSON.parse(text) as number[];
  return Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i]!, flat[2 * i]! + flat[2 * i + 1]!]);
}

/** The union, in order, none touching another. */
export function merged(spans: readonly Span[]): Span[] {
  const all: Span[] = [];
  for (const [start, end] of [...spans].sort((a, b) => a[0] - b[0])) {
    const last = all.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else if (end > start) all.push([start, end]);
  }
  return all;
}

export const lengthOf = (spans: readonly Span[]): number =>
  spans.reduce((sum, [start, end]) => sum + end - start, 0);

/** What an answer brought of the file. */
export function servedBy({ range, status, sent }: LoggedRequest): Span {
  const from = status === 206 ? Number(/^bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0) : 0;
  return [from, from + sent];
}

/** Bytes of `span` that lie in one of `known`, which do not overlap. */
export const overlap = ([start, end]: Span, known: readonly Span[]): number =>
  known.reduce((sum, [from, to]) => sum + Math.max(0, Math.min(end, to) - Math.max(start, from)), 0);
