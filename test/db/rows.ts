import type { Database, NewDownload } from "../../src/core/database.ts";
import type { Download, File } from "../../src/core/download.ts";
import type { Log } from "../../src/core/ports.ts";

export interface LogLine {
  level: string;
  message: string;
  fields: Record<string, unknown> | undefined;
}

/** A log that can be read afterwards. */
export function recordingLog(): Log & { lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at = (level: string) => (message: string, fields?: Record<string, unknown>) =>
    void lines.push({ level, message, fields });
  return { lines, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

let count = 0;

/** A row as a manager would insert it; every one has an id, a model and a source of its own unless told. */
export function draft(over: Partial<NewDownload> = {}): NewDownload {
  const number = ++count;
  return {
    id: crypto.randomUUID(),
    modelId: `model-${number}`,
    type: "regular",
    source: { provider: "url", key: `url:${number}`, url: `https://models.example/${number}.gguf` },
    layout: "flat",
    state: "queued",
    priority: 0,
    attempt: 0,
    notBefore: null,
    waiting: null,
    bytes: 0,
    total: null,
    filesTotal: 1,
    filesDone: 0,
    averageBps: 0,
    repo: null,
    commit: null,
    localPath: null,
    labels: {},
    engine: null,
    modelType: "llm",
    error: null,
    warnings: [],
    rateLimit: 0,
    retry: null,
    createdAt: 1_700_000_000_000 + number,
    startedAt: null,
    endedAt: null,
    ...over,
  };
}

export async function insert(db: Database, over: Partial<NewDownload> = {}): Promise<Download> {
  const row = await db.insert(draft(over));
  if ("conflict" in row) throw new Error(`unexpected conflict with ${row.conflict.id}`);
  return row;
}

export function fileDraft(downloadId: string, path: string, over: Partial<File> = {}): Omit<File, "id"> {
  return {
    downloadId,
    path,
    size: 1000,
    digest: null,
    computed: null,
    verified: false,
    checked: null,
    locator: "{}",
    state: "pending",
    target: null,
    validator: null,
    partial: null,
    bytes: 0,
    error: null,
    completedAt: null,
    ...over,
  };
}
