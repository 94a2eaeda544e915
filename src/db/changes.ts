import type { Database } from "../core/database.ts";
import { many } from "./downloads.ts";
import { DOWNLOAD } from "./rows.ts";
import type { Store } from "./store.ts";

type Changes = Awaited<ReturnType<Database["changes"]>>;
interface Removal {
  id: string;
  modelId: string;
  seq: number;
}

export function changes(store: Store) {
  return {
    nextSeq: () => store.seq(),
    changes: (seq, limit) => store.read(() => changesSince(store, seq, limit)),
  } satisfies Partial<Database>;
}

/** The oldest `limit` of both kinds together, so that asking again from the highest number misses nothing. */
function changesSince(store: Store, seq: number, limit: number): Changes {
  const sql = `SELECT ${DOWNLOAD.columns} FROM downloads WHERE seq > ? ORDER BY seq LIMIT ?`;
  const downloads = many(store, sql, seq, limit);
  const removed = store.all<Removal>(
    'SELECT id, model_id AS "modelId", seq FROM removed WHERE seq > ? ORDER BY seq LIMIT ?',
    seq,
    limit,
  );
  const last = [...downloads, ...removed].map((c) => c.seq).sort((a, b) => a - b)[limit - 1];
  const until = last ?? Number.POSITIVE_INFINITY;
  const forgotten = Number(store.meta("forgotten_seq") ?? 0);
  return {
    downloads: downloads.filter((d) => d.seq <= until),
    removed: removed.filter((r) => r.seq <= until),
    // A number we have never given comes from a database that has been lost since.
    gap: seq < forgotten || seq > store.lastSeq,
  };
}
