import { BATCH, inBatches, othersTurn } from "../core/batches.ts";
import type { Database } from "../core/database.ts";
import type { File } from "../core/download.ts";
import type { TargetPath } from "../core/target-path.ts";
import { OPEN } from "./downloads.ts";
import type { Ranges } from "./receipts.ts";
import { FILE } from "./rows.ts";
import type { Store } from "./store.ts";

type Row = Record<string, unknown>;
type FilePatch = Parameters<Database["updateFile"]>[1];

const SELECT = `SELECT ${FILE.columns} FROM files`;

export function files(store: Store, ranges: Ranges) {
  return {
    putFiles: (downloadId, list) => store.write(() => putFiles(store, ranges, downloadId, list)),
    files: (downloadId) => all(store, downloadId),
    file: (id) => store.read(() => select(store, `${SELECT} WHERE id = ?`, id)[0]),
    updateFile: (id, patch) => store.write(() => updateFile(store, id, patch)),
    updateFiles: async (patches) => {
      for await (const some of inBatches(patches)) {
        const work = () => {
          for (const { id, patch } of some) patchFile(store, id, patch);
        };
        await store.write(work, { sync: false });
      }
    },
    filesByTarget: (path) => store.read(() => filesByTarget(store, path)),
    deleteFile: async (id) => {
      await store.write(() => store.run("DELETE FROM files WHERE id = ?", id));
      ranges.forget(id);
    },
    dropFiles: (downloadId) => store.write(() => dropFiles(store, ranges, downloadId)),
  } satisfies Partial<Database>;
}

function select(store: Store, sql: string, ...values: (string | number)[]): File[] {
  return store.all<Row>(sql, ...values).map((row) => FILE.decode(row));
}

/** The files of a download in the order they came in, read along the index of their paths. */
async function all(store: Store, downloadId: string): Promise<File[]> {
  const sql = `${SELECT} WHERE download_id = ? AND path > ? ORDER BY path LIMIT ${BATCH}`;
  const found: File[] = [];
  for (;;) {
    const page = await store.read(() => select(store, sql, downloadId, found.at(-1)?.path ?? ""));
    found.push(...page);
    if (page.length < BATCH) return found.sort((a, b) => a.id - b.id);
    await othersTurn();
  }
}

/** Makes `list` the files of the download. One that is known by its path keeps its id, and so its receipts. */
function putFiles(
  store: Store,
  ranges: Ranges,
  downloadId: string,
  list: readonly Omit<File, "id">[],
): File[] {
  const gone = new Map(
    select(store, `${SELECT} WHERE download_id = ?`, downloadId).map((f) => [f.path, f.id]),
  );
  const saved = list.map((file) => {
    gone.delete(file.path);
    return upsert(store, { ...file, downloadId });
  });
  for (const id of gone.values()) {
    store.run("DELETE FROM files WHERE id = ?", id);
    ranges.forget(id);
  }
  return saved;
}

function upsert(store: Store, file: Omit<File, "id">): File {
  const fields = FILE.encode(file);
  fields.push({ column: "search", value: file.path.toLowerCase() });
  const columns = fields.map((f) => f.column);
  const sql = `INSERT INTO files (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})
    ON CONFLICT (download_id, path) DO UPDATE SET ${columns.map((c) => `${c} = excluded.${c}`).join(", ")}
    RETURNING id`;
  return { ...file, ...store.get<Pick<File, "id">>(sql, ...fields.map((f) => f.value))! };
}

function updateFile(store: Store, id: number, patch: FilePatch): File | undefined {
  const fields = FILE.encode(patch);
  if (fields.length === 0) return select(store, `${SELECT} WHERE id = ?`, id)[0];
  const sets = fields.map((f) => `${f.column} = ?`).join(", ");
  const sql = `UPDATE files SET ${sets} WHERE id = ? RETURNING ${FILE.columns}`;
  const row = store.get<Row>(sql, ...fields.map((f) => f.value), id);
  return row && FILE.decode(row);
}

function patchFile(store: Store, id: number, patch: FilePatch): void {
  const fields = FILE.encode(patch);
  if (fields.length === 0) return;
  const sets = fields.map((f) => `${f.column} = ?`).join(", ");
  store.run(`UPDATE files SET ${sets} WHERE id = ?`, ...fields.map((f) => f.value), id);
}

function filesByTarget(store: Store, path: TargetPath): File[] {
  const sql = `${SELECT} WHERE target = ? AND
    (state = 'done' OR EXISTS (SELECT 1 FROM downloads d WHERE d.id = download_id AND d.${OPEN})) ORDER BY id`;
  return select(store, sql, path);
}

function dropFiles(store: Store, ranges: Ranges, downloadId: string): void {
  const sql = "DELETE FROM files WHERE download_id = ? RETURNING id";
  for (const { id } of store.all<{ id: number }>(sql, downloadId)) ranges.forget(id);
}
