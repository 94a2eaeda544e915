import type { Tools } from "./attempt.ts";
import type { Board } from "./board.ts";
import {
  contentKey,
  type Download,
  isFinished,
  type RetryPolicy,
  type SourceRef,
  UNFINISHED,
} from "./download.ts";
import { DownloadError } from "./errors.ts";
import type { Engine, NewDownload, Secret, Source, StartRequest } from "./ports.ts";
import { DEFAULT_RETRY } from "./retry.ts";
import { retryOver } from "./settings.ts";
import { knownTarget } from "./target-path.ts";
import { unsupportedText } from "./unsupported.ts";

/** Path segments of the API that cannot be told from an id (A22). */
const RESERVED = new Set(["cancel", "pause", "resume", "retry", "events"]);
const LONGEST_MODEL_ID = 512;
const EMBEDDING = /(^|[^a-z])(embed|embedding|embeddings|bge|gte|e5|minilm|nomic-embed)([^a-z]|$)/i;

/** What a model probably is, going by its names, until its header is known (A23). */
export const guessModelType = (names: string): Download["modelType"] =>
  EMBEDDING.test(names) ? "embedding" : "llm";

export interface Admission {
  row: Download;
  created: boolean;
}

/** Judges a start request and puts it into the queue; an equal unfinished one is returned instead (F153). */
export async function admit(
  tools: Tools,
  board: Board,
  defaults: Defaults,
  request: StartRequest,
): Promise<Admission> {
  const { source, ref, layout, secret } = judge(tools.sources, defaults, request);
  if (request.engine) await checkEngine(tools, request.engine.engineId, ref, layout);
  if (!source.bring) await refuseUnwritable(tools, ref, layout);
  const id = crypto.randomUUID();
  if (secret) await tools.secrets.put(id, secret);
  let created = false;
  try {
    const wanted = draft(id, ref, layout, request, defaults, tools);
    // What another program keeps has no place on our disk.
    if (source.bring) wanted.localPath = null;
    const admission = await insertUnique(board, source, request, wanted);
    created = admission.created;
    if (secret && !created) await refreshSecret(tools, admission.row, secret);
    return admission;
  } finally {
    // A refused request leaves no token behind.
    if (secret && !created) await tools.secrets.delete(id);
  }
}

/** What could not be written is refused (F83), unless it is on its way already: then it waits (F84). */
async function refuseUnwritable(
  { db, storage }: Tools,
  ref: SourceRef,
  layout: Download["layout"],
): Promise<void> {
  try {
    await storage.checkWritable?.(ref, layout);
  } catch (error) {
    const known = await db.list({ sourceKey: ref.key, states: UNFINISHED }, { limit: 1 });
    if (known.items.length === 0) throw error;
  }
}

/**
 * An engine id stays with its model while that is there (A22); `present` is where the model asked for is found already.
 * Throws `model_id_conflict`.
 */
export async function checkEngine(
  tools: Tools,
  engineId: string,
  ref: SourceRef,
  layout: Download["layout"],
  present?: string,
): Promise<void> {
  const { db, storage } = tools;
  const engine = await db.engine(engineId);
  if (!engine || engine.path === present) return;
  const owner = engine.downloadId === null ? undefined : await db.get(engine.downloadId);
  if (owner && contentKey(owner.source) === contentKey(ref)) return;
  // Without a record its path tells.
  if (!owner && engine.path === storage.expected?.(ref, layout)) return;
  await refuseKept(tools, engine);
}

/** Throws `model_id_conflict` for an engine whose model, a file or a folder, is still there; without it the id is free. */
export async function refuseKept({ db, storage }: Tools, engine: Engine): Promise<void> {
  const { engineId, path, downloadId } = engine;
  let isThere =
    (await storage.stat(knownTarget(path))).exists || (await storage.locate?.(path)) !== undefined;
  for (const { target } of downloadId === null ? [] : await db.files(downloadId))
    isThere ||= target !== null && (await storage.stat(target)).exists;
  if (isThere) throw engineTaken(engineId, `exists already for another model (${path})`);
}

/** The id is in use for something else: `how` goes on after the id. */
export const engineTaken = (engineId: string, how: string): DownloadError =>
  new DownloadError("model_id_conflict", `Engine '${engineId}' ${how}. Choose another engine_id.`, {
    param: "engine.engine_id",
  });

/** What a request asks for, and of whom. */
export interface Judged {
  source: Source;
  ref: SourceRef;
  layout: Download["layout"];
  /** What of it must be kept apart, if anything. */
  secret: Secret | undefined;
}

/** Whether a request could be queued as it is. No I/O. Throws `invalid_*`, `forbidden_address`, `unsupported_provider`. */
export function judge(sources: readonly Source[], defaults: Defaults, request: StartRequest): Judged {
  const source = sourceFor(sources, request);
  const wished = request.layout ?? defaults.layout;
  const layout = source.layouts?.includes(wished) === false ? (source.layouts[0] ?? wished) : wished;
  const parsed = source.parse(request);
  if (request.modelId !== undefined) checkModelId(request.modelId);
  if (request.engine) checkModelId(request.engine.engineId, "engine_id");
  if (request.engine && source.bring) throw noFile(source);
  checkNumbers(request);
  const secret = source.secretOf?.(request) ?? {};
  const isSecret = Object.values(secret).some((part) => part !== undefined);
  const ref = { ...parsed, key: `${layout} ${parsed.key}` };
  return { source, ref, layout, secret: isSecret ? secret : undefined };
}

/** What another program keeps is no file that an engine could be made of. */
const noFile = ({ name }: Source): DownloadError =>
  new DownloadError(
    "invalid_request",
    `A model of provider '${name}' is kept and run by that program itself: no engine can be made of it. Download it without an engine, or take the model from another provider.`,
    { param: "engine" },
  );

export interface Defaults {
  layout: Download["layout"];
  /** What a request's own retry values stand upon: the settings in force. */
  retry?: RetryPolicy;
}

function sourceFor(sources: readonly Source[], request: StartRequest): Source {
  const source = sources.find((s) => s.accepts(request));
  if (source) return source;
  if (request.provider !== undefined) {
    const names = sources.map((s) => s.name);
    throw new DownloadError("unsupported_provider", unsupportedText(request.provider, names), {
      param: "provider",
    });
  }
  throw new DownloadError(
    "invalid_request",
    "Give 'url', or 'repo_id' (with 'filename' or 'include'), or 'provider' and 'model'.",
  );
}

/** Throws `invalid_request` for what cannot be the id of a download or an engine. */
export function checkModelId(modelId: string, param = "model_id"): void {
  const bad =
    modelId.length === 0 ||
    modelId.length > LONGEST_MODEL_ID ||
    RESERVED.has(modelId) ||
    /[\u0000-\u001f\u007f]/.test(modelId);
  if (!bad) return;
  const why = RESERVED.has(modelId)
    ? "is a reserved word"
    : `must have 1 to ${LONGEST_MODEL_ID} printable characters`;
  throw new DownloadError("invalid_request", `'${param}' ${why}.`, { param });
}

function checkNumbers(request: StartRequest): void {
  checkInteger("priority", request.priority, -1_000_000, 1_000_000);
  checkInteger("rate_limit_bps", request.rateLimit, 0, Number.MAX_SAFE_INTEGER);
  retryOver(DEFAULT_RETRY, request.retry ?? {});
}

/** Throws `invalid_request` unless the value is absent or an integer within the bounds. */
export function checkInteger(name: string, value: number | undefined, min: number, max: number): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= min && value <= max)) return;
  throw new DownloadError("invalid_request", `'${name}' must be an integer between ${min} and ${max}.`, {
    param: name,
  });
}

function draft(
  id: string,
  source: SourceRef,
  layout: Download["layout"],
  request: StartRequest,
  defaults: Defaults,
  tools: Tools,
): Omit<NewDownload, "modelId"> {
  const name = [request.modelId, source.repo, source.files?.join(" "), source.filename, source.url].join(" ");
  return {
    id,
    type: request.engine ? "startup" : "regular",
    source,
    layout,
    state: "queued",
    priority: request.priority ?? 0,
    attempt: 0,
    notBefore: null,
    waiting: null,
    bytes: 0,
    total: null,
    filesTotal: 0,
    filesDone: 0,
    averageBps: 0,
    repo: null,
    commit: null,
    localPath: tools.storage.expected?.(source, layout) ?? null,
    labels: request.labels ?? {},
    engine: request.engine ?? null,
    modelType: request.engine?.modelType ?? guessModelType(name),
    error: null,
    warnings: [],
    rateLimit: request.rateLimit ?? 0,
    retry: request.retry ? retryOver(defaults.retry ?? DEFAULT_RETRY, request.retry) : null,
    createdAt: tools.clock.now(),
    startedAt: null,
    endedAt: null,
  };
}

/** So many numbers are tried in turn; behind them, one that is most likely free (F224). */
const FEW = 16;

/** Tries model ids until one is free; a wished one that belongs to another target is a conflict. */
async function insertUnique(
  board: Board,
  source: Source,
  request: StartRequest,
  rest: Omit<NewDownload, "modelId">,
): Promise<Admission> {
  const base = request.modelId ?? cutId(source.defaultModelId(rest.source));
  let wanted = rest;
  for (let n = 1; ; ) {
    const modelId = n === 1 ? base : `${base}-${n}`;
    const row = RESERVED.has(modelId) ? undefined : await board.insert({ ...wanted, modelId });
    if (row && !("conflict" in row)) return { row, created: true };
    const other = row?.conflict;
    if (other && isAsked(other, rest)) return { row: other, created: false };
    const isSame = other && contentKey(other.source) === rest.source.key;
    if (other && !isSame) refuseForeign(other, request);
    if (isSame && wanted === rest) wanted = behind(rest);
    else n = n === FEW ? Math.max(n + 1, (await board.db.numbered(base)) + 2) : n + 1;
  }
}

/** Whether that unfinished download is what is asked for: the same content, and the engine that is asked for, if any. */
const isAsked = ({ source, state, engine }: Download, rest: Omit<NewDownload, "modelId">): boolean =>
  contentKey(source) === rest.source.key &&
  !isFinished(state) &&
  (rest.engine === null || engine?.engineId === rest.engine.engineId);

/** Another engine of something that is being fetched: a download of its own that waits until the files are there. */
function behind<T extends Omit<NewDownload, "modelId">>(rest: T): T {
  const { key } = rest.source;
  if (rest.engine === null) return { ...rest };
  return { ...rest, source: { ...rest.source, key: `${key} engine ${rest.engine.engineId}`, behind: key } };
}

function refuseForeign(other: Download, { modelId, engine }: StartRequest): void {
  if (engine && other.engine?.engineId === engine.engineId)
    throw engineTaken(engine.engineId, `is waiting for the download of another model (${other.source.url})`);
  if (modelId === undefined) return;
  throw new DownloadError(
    "model_id_conflict",
    `'${modelId}' is already downloading ${other.source.url}. Choose another model_id, or cancel that download first.`,
    { param: "model_id" },
  );
}

const cutId = (id: string): string =>
  id.length > LONGEST_MODEL_ID - 8 ? id.slice(0, LONGEST_MODEL_ID - 8) : id;

/** An equal request may bring a newer token: what is given last is used from the next attempt on. */
export async function refreshSecret(tools: Tools, row: Download, secret: Secret): Promise<void> {
  const known = await tools.secrets.get(row.id);
  await tools.secrets.put(row.id, { ...known, ...secret });
}
