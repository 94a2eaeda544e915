/** The calls that the rooms make of the system, counted, one of them failing on order (FAULTS G5). */
import type { Database as Sqlite, Statement } from "bun:sqlite";
import { type SystemCalls, systemCalls } from "../../src/db/system.ts";
import { type Connect, systemConnect } from "../../src/http/plain/connection.ts";
import { type Disk, systemDisk } from "../../src/storage/disk.ts";

/** Where a call goes. */
export type Kind = "disk" | "database file" | "statement" | "connect" | "read";
export const TROUBLES = ["EIO", "ENOSPC", "EACCES", "EMFILE", "reset", "timeout"] as const;
export type Trouble = (typeof TROUBLES)[number];

export interface Call {
  kind: Kind;
  /** `rename`, `COMMIT`, …: calls that are alike have one name. */
  name: string;
}

/** Calls that open something, that make names or bytes, that only look. */
const OPENING = /^(open|openSync|readdir|readdirSync|copyFile|readFile|writeFile|sqlite)$/;
const MAKING =
  /^(mkdir|mkdirSync|link|symlink|rename|renameSync|write|writev|writeFile|copyFile|ftruncate|fsync|fdatasync|fdatasyncSync|openSync|open|sqlite)$/;
const ON_DESCRIPTOR = /^(write|writev|read|ftruncate|fsync|fdatasync|fdatasyncSync|close|fstatSync)$/;

/** The troubles that a call of this kind and name can meet. */
export function troublesOf({ kind, name }: Call): Trouble[] {
  if (kind === "connect") return ["reset", "timeout", "EMFILE"];
  if (kind === "read") return ["reset", "timeout"];
  if (kind === "statement")
    return /^(SELECT|PRAGMA)/.test(name) ? ["EIO", "EMFILE"] : ["EIO", "ENOSPC", "EACCES"];
  const fits: Record<string, boolean> = {
    EIO: true,
    ENOSPC: MAKING.test(name),
    EACCES: !ON_DESCRIPTOR.test(name),
    EMFILE: OPENING.test(name),
  };
  return TROUBLES.filter((trouble) => fits[trouble]);
}

/** Which call fails and what of: the `nth` of its kind and name, counted from 1, for that is the same one in every run. */
export interface Order extends Call {
  nth: number;
  trouble: Trouble;
}

/** Counts the calls of one run and lets one of them fail, once. */
export class Fault {
  /** How many there were of each kind and name. */
  readonly counts = new Map<string, Call & { count: number }>();
  /** The call that was to fail has failed. */
  isMet = false;
  readonly #order: Order | undefined;

  constructor(order: Order | undefined) {
    this.#order = order;
  }

  /** A call is about to be made: what it meets, or undefined. */
  meet(kind: Kind, name: string): Trouble | undefined {
    const key = `${kind} ${name}`;
    const entry = this.counts.get(key) ?? { kind, name, count: 0 };
    this.counts.set(key, entry);
    entry.count += 1;
    const order = this.#order;
    if (order?.kind !== kind || order.name !== name || order.nth !== entry.count) return undefined;
    this.isMet = true;
    return order.trouble;
  }

  get total(): number {
    return [...this.counts.values()].reduce((sum, { count }) => sum + count, 0);
  }
}

type AnyCall = (...args: unknown[]) => unknown;

const systemError = (trouble: Trouble, name: string): Error => {
  const code = trouble === "reset" ? "ECONNRESET" : trouble === "timeout" ? "ETIMEDOUT" : trouble;
  return Object.assign(new Error(`${code}: made to fail, ${name}`), { code, syscall: name });
};

export function faultyDisk(fault: Fault): Disk {
  return new Proxy(systemDisk, {
    get(target, name: keyof Disk) {
      const call = target[name] as unknown as AnyCall;
      return (...args: unknown[]): unknown => {
        const trouble = fault.meet("disk", name);
        if (!trouble) return call(...args);
        const error = systemError(trouble, name);
        if (name.endsWith("Sync")) throw error;
        // A descriptor is gone also when closing it reports an error (close(2)).
        if (name === "close") return Promise.resolve(call(...args)).then(() => Promise.reject(error));
        return Promise.reject(error);
      };
    },
  });
}

const SQLITE: Partial<Record<Trouble, string>> = {
  EIO: "SQLITE_IOERR",
  ENOSPC: "SQLITE_FULL",
  EACCES: "SQLITE_READONLY",
  EMFILE: "SQLITE_CANTOPEN",
};

const sqliteError = (trouble: Trouble): Error =>
  Object.assign(new Error(`made to fail: ${trouble}`), {
    name: "SQLiteError",
    code: SQLITE[trouble] ?? trouble,
  });

export function faultyDatabase(fault: Fault): SystemCalls {
  return new Proxy(systemCalls, {
    get(target, name: keyof SystemCalls) {
      const call = target[name] as unknown as AnyCall;
      if (name === "existsSync") return call;
      return (...args: unknown[]): unknown => {
        const trouble = fault.meet("database file", name);
        if (name === "sqlite") {
          if (trouble) throw sqliteError(trouble);
          return faultyConnection(fault, call(...args) as Sqlite);
        }
        if (!trouble) return call(...args);
        const error = systemError(trouble, name);
        if (name === "closeSync") call(...args);
        if (name !== "fdatasync") throw error;
        return queueMicrotask(() => (args[1] as (error: Error) => void)(error));
      };
    },
  });
}

const STEPS = new Set(["get", "all", "run", "values", "iterate"]);

/** The first words of a statement: which it is. */
const nameOf = (sql: string): string => sql.trim().split(/\s+/).slice(0, 3).join(" ").slice(0, 40);

/** A connection whose statements pass through the fault. Ends of transactions that undo never fail. */
function faultyConnection(fault: Fault, db: Sqlite): Sqlite {
  const step = (sql: string): void => {
    const trouble = sql.startsWith("ROLLBACK") ? undefined : fault.meet("statement", nameOf(sql));
    if (trouble) throw sqliteError(trouble);
  };
  return new Proxy(db, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      const call = value.bind(target) as AnyCall;
      if (name === "prepare" || name === "query")
        return (...args: unknown[]) =>
          faultyStatement(call(...args) as Statement, () => step(String(args[0])));
      if (name !== "run") return call;
      return (...args: unknown[]) => {
        step(String(args[0]));
        return call(...args);
      };
    },
  });
}

function faultyStatement(statement: Statement, step: () => void): Statement {
  return new Proxy(statement, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      const call = value.bind(target) as AnyCall;
      if (!STEPS.has(String(name))) return call;
      return (...args: unknown[]) => {
        step();
        return call(...args);
      };
    },
  });
}

/** A connection that fails, is never made, breaks off or falls silent. */
export function faultyConnect(fault: Fault): Connect {
  return (options) => {
    const trouble = fault.meet("connect", "connect");
    if (trouble === "timeout") return new Promise(() => {});
    if (trouble) return Promise.reject(systemError(trouble, "connect"));
    const { data, error } = options.socket;
    let isDead = false;
    return systemConnect({
      ...options,
      socket: {
        ...options.socket,
        data(socket, bytes) {
          const met = isDead ? undefined : fault.meet("read", "read");
          if (!isDead && !met) return data?.(socket, bytes);
          isDead = true;
          if (met !== "reset") return;
          error?.(socket, systemError(met, "read"));
          socket.terminate();
        },
      },
    });
  };
}
