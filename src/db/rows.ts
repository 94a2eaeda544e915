import type { SQLQueryBindings } from "bun:sqlite";
import type { Engine } from "../core/database.ts";
import { type Download, type File, knownDigest } from "../core/download.ts";
import { knownTarget } from "../core/target-path.ts";

/**
 * How a field stands in its column. Times and counts are `int`, so that a stray fraction cannot break a write. What can
 * become a file's name is checked when it is read: a damaged row is an error (`internal`), never a place on disk.
 */
type Kind = "text" | "int" | "real" | "bool" | "json" | "digest" | "target";
type Raw = Record<string, unknown>;

export interface Assignment {
  column: string;
  value: SQLQueryBindings;
}

interface Field<T> {
  key: keyof T & string;
  kind: Kind;
  /** Of the column, as a row has it and as SQL has it. */
  name: string;
  column: string;
}

/** Fields of T to columns of a table and back; the only place that knows both. */
export class Codec<T extends object> {
  readonly #fields: readonly Field<T>[];
  /** Column list for SELECT and RETURNING. */
  readonly columns: string;

  constructor(kinds: Record<keyof T & string, Kind>, alias = "") {
    const entries = Object.entries(kinds) as [keyof T & string, Kind][];
    // Once and for all: a long queue is decoded by the hundred thousand.
    this.#fields = entries.map(([key, kind]) => ({ key, kind, name: snake(key), column: columnOf(key) }));
    this.columns = this.#fields.map(({ column }) => `${alias}${column}`).join(", ");
  }

  /** The columns of the fields that are there and not undefined, in a fixed order. */
  encode(fields: Partial<T>): Assignment[] {
    return this.#fields
      .filter(({ key }) => fields[key] !== undefined)
      .map(({ key, kind, column }) => ({ column, value: toColumn(kind, fields[key]) }));
  }

  decode(row: Raw): T {
    const fields: Raw = {};
    for (const { key, kind, name } of this.#fields) fields[key] = toField(kind, row[name]);
    return fields as T;
  }
}

const snake = (key: string): string => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
/** Quoted, because `commit` is a word of SQL. */
const columnOf = (key: string): string => `"${snake(key)}"`;

function toColumn(kind: Kind, value: unknown): SQLQueryBindings {
  if (value === null) return null;
  if (kind === "json" || kind === "digest") return JSON.stringify(value);
  if (kind === "bool") return value ? 1 : 0;
  if (kind === "int") return Math.round(value as number);
  return value as SQLQueryBindings;
}

function toField(kind: Kind, value: unknown): unknown {
  if (value === null) return null;
  if (kind === "json") return JSON.parse(value as string);
  if (kind === "digest") return knownDigest(JSON.parse(value as string));
  if (kind === "target") return knownTarget(value as string);
  return kind === "bool" ? value === 1 : value;
}

export const DOWNLOAD = new Codec<Download>({
  id: "text",
  modelId: "text",
  type: "text",
  source: "json",
  layout: "text",
  state: "text",
  previousState: "text",
  intent: "text",
  priority: "int",
  position: "real",
  attempt: "int",
  notBefore: "int",
  waiting: "json",
  owner: "text",
  leaseUntil: "int",
  bytes: "int",
  total: "int",
  filesTotal: "int",
  filesDone: "int",
  averageBps: "real",
  repo: "text",
  commit: "text",
  localPath: "text",
  labels: "json",
  engine: "json",
  modelType: "text",
  error: "json",
  warnings: "json",
  rateLimit: "real",
  retry: "json",
  createdAt: "int",
  startedAt: "int",
  endedAt: "int",
  seq: "int",
});

export const FILE = new Codec<File>({
  id: "int",
  downloadId: "text",
  path: "text",
  size: "int",
  digest: "digest",
  computed: "digest",
  verified: "bool",
  checked: "json",
  locator: "text",
  state: "text",
  target: "target",
  validator: "json",
  partial: "json",
  bytes: "int",
  error: "json",
  completedAt: "int",
});

export const ENGINE = new Codec<Engine>({
  engineId: "text",
  downloadId: "text",
  path: "text",
  modelType: "text",
  inferenceEngine: "text",
  runtime: "text",
  endpoint: "text",
  error: "text",
  details: "json",
  loadImmediately: "bool",
  mainGpuId: "int",
  parameters: "json",
  state: "text",
  createdAt: "int",
});

/** `INSERT INTO table (…) VALUES (?, …)` and its values. */
export function insertInto(table: string, fields: readonly Assignment[]): [string, SQLQueryBindings[]] {
  const names = fields.map((f) => f.column).join(", ");
  const marks = fields.map(() => "?").join(", ");
  return [`INSERT INTO ${table} (${names}) VALUES (${marks})`, fields.map((f) => f.value)];
}
