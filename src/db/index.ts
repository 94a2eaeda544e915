import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Database } from "../core/database.ts";
import { DownloadError } from "../core/errors.ts";
import type { Clock, Log } from "../core/ports.ts";
import { changes } from "./changes.ts";
import { downloads } from "./downloads.ts";
import { isCorrupt, isFull, toDatabaseError } from "./errors.ts";
import { files } from "./files.ts";
import { lists } from "./list.ts";
import { type Lock, lockDirectory, prepareDirectory } from "./lock.ts";
import { order } from "./order.ts";
import { queue } from "./queue.ts";
import { finishRebuild, rebuild } from "./rebuild.ts";
import { Ranges, receipts, voidOtherBoots } from "./receipts.ts";
import { Reserve } from "./reserve.ts";

import { engines, settings } from "./settings.ts";
import { type Connection, connect, isSafeToShare, sqliteVersion } from "./sqlite.ts";
import { Store, type StoreOptions } from "./store.ts";
import { type SystemCalls, systemCalls } from "./system.ts";

export interface DatabaseOptions {
  dataDir: string;
  clock: Clock;
  log: Log;
  /** Identifies the run of the machine; read from the kernel where it tells. */
  bootId?: string;
  /** The system's own unless given. */
  calls?: SystemCalls;
  /** Aborted, opening ends where it would take long: it rejects with an AbortError, and nothing is held or lost. */
  signal?: AbortSignal;
}

/**
 * Opens the database of a data directory, creating both where they are missing. Throws DownloadError: `locked` when
 * another process has the directory, `internal` when a newer modelhaul wrote it, `read_only`, `no_space`, `io`.
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const { dataDir, clock, calls = systemCalls, signal } = options;
  stopIfTold(signal);
  let lock: Lock | undefined;
  try {
    prepareDirectory(calls, dataDir);
    const held = await lockDirectory(calls, dataDir, clock);
    lock = held;
    return assemble(await openStore(options, calls), () => held.release());
  } catch (error) {
    lock?.release();
    throw atStart(toDatabaseError(error, dataDir), dataDir);
  }
}

/** A database that is open goes on by itself when there is room again; one that could not be opened does not. */
function atStart(error: unknown, dataDir: string): unknown {
  if (!(error instanceof DownloadError) || error.code !== "no_space") return error;
  const text = `The database in ${dataDir} cannot be opened: its volume is full. Free some space and start again.`;
  return new DownloadError("no_space", text, { cause: error });
}

async function openStore(
  { dataDir, clock, log, bootId, signal }: DatabaseOptions,
  calls: SystemCalls,
): Promise<Store> {
  const reserve = new Reserve(calls, join(dataDir, "reserve"), clock);
  const boot = bootId ?? bootIdOfMachine();
  const store = await inItsRoom(reserve, async () =>
    storeOf(await connectOrRebuild(calls, dataDir, log, signal), { dataDir, clock, log, boot, reserve }),
  );
  if (!isSafeToShare())
    log.warn(
      `SQLite ${sqliteVersion()} can damage a database that two programs write at once; fixed in 3.51.3. No other program can open this one while modelhaul runs.`,
    );
  try {
    await store.write(() => voidOtherBoots(store));
    // Also when nothing had to be written: the next start may find the volume full.
    reserve.keep();
    return store;
  } catch (error) {
    store.abandon();
    throw error;
  }
}

/** On a volume that is full already the room that was kept is enough to begin: then what waits can say so (F80, F103). */
async function inItsRoom<T>(reserve: Reserve, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isFull(error) || !reserve.spend()) throw error;
    return work();
  }
}

function storeOf(connection: Connection, rest: Omit<StoreOptions, keyof Connection>): Store {
  try {
    return new Store({ ...connection, ...rest });
  } catch (error) {
    connection.db.close();
    throw error;
  }
}

const DAMAGED = "The database was damaged. A copy was kept, what could be read was saved, model files stay.";

/** A damaged database is kept aside and what can be read of it saved; nobody has to delete anything (F103, I5). */
async function connectOrRebuild(
  calls: SystemCalls,
  dataDir: string,
  log: Log,
  signal: AbortSignal | undefined,
): Promise<Connection> {
  const left = finishRebuild(calls, dataDir);
  if (left !== undefined) log.warn(DAMAGED, { copy: left });
  try {
    return connect(calls, dataDir);
  } catch (error) {
    if (!isCorrupt(error)) throw error;
    const downloads = await rebuild(calls, dataDir, () => stopIfTold(signal));
    const copy = finishRebuild(calls, dataDir);
    log.warn(DAMAGED, { copy, downloads, error: String(error) });
    return connect(calls, dataDir);
  }
}

function stopIfTold(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new DOMException("Told to stop before the database was open.", "AbortError");
}

/** Where the machine does not tell, each process is a boot of its own: written watermarks end with it. */
function bootIdOfMachine(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return `process-${randomUUID()}`;
  }
}

function assemble(store: Store, release: () => void): Database {
  const ranges = new Ranges();
  return {
    ...downloads(store),
    ...lists(store),
    ...queue(store),
    ...order(store),
    ...files(store, ranges),
    ...receipts(store, ranges),
    ...changes(store),
    ...settings(store),
    ...engines(store),
    close: async () => {
      try {
        await store.close();
      } finally {
        release();
      }
    },
  };
}
