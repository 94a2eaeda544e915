import { DownloadError, type ErrorCode } from "../../core/errors.ts";
import { type ErrorBody, kolosalRefusal, type Refusal, refusalResponse } from "../envelope.ts";
import type { Problem } from "../problem.ts";

/** A refusal in this family's own words (REQUIREMENTS section C). */
export class EngineRefusal extends Error {
  override readonly name = "EngineRefusal";
  readonly refusal: Refusal;

  constructor(status: number, error: Omit<ErrorBody, "message">, message: string) {
    super(message);
    this.refusal = { status, headers: {}, error: { message, ...error } };
  }
}

/** How the two generations call an id that is in use and one that is not. */
export interface Words {
  noun: "Engine" | "Model";
  id: "engine_id" | "model_id";
  taken: string;
  unknown: string;
}
export const ENGINE_WORDS: Words = {
  noun: "Engine",
  id: "engine_id",
  taken: "engine_id_exists",
  unknown: "engine_not_found",
};
export const MODEL_WORDS: Words = {
  noun: "Model",
  id: "model_id",
  taken: "model_already_loaded",
  unknown: "model_not_found",
};

/** R45: it has a scheme, and is nothing that could be downloaded. */
export const notAUrl = (message: string, code: string): EngineRefusal =>
  new EngineRefusal(422, { type: "model_download_error", param: "model_path", code }, message);

/** The same words for what does not exist and for what is none of the client's business (F124). */
export const noSuchPath = (): EngineRefusal =>
  new EngineRefusal(
    400,
    { type: "invalid_request_error", param: "model_path", code: "model_path_not_found" },
    "There is no such file or folder inside the models directory. Give a path inside it, a URL, or a hub reference such as hf:org/name/file.gguf.",
  );

export const taken = (words: Words, message: string): EngineRefusal =>
  new EngineRefusal(409, { type: "invalid_request_error", param: words.id, code: words.taken }, message);

export const unknown = (words: Words, hint = ""): EngineRefusal =>
  new EngineRefusal(
    404,
    { type: "not_found_error", param: words.id, code: words.unknown },
    `${words.noun} not found${hint}`,
  );

/** Fields of the core's start requests that `model_path` was read into. */
const PATH_PARAMS = new Set([
  "url",
  "repo_id",
  "filename",
  "include",
  "revision",
  "provider",
  "model",
  "ref",
  "repo",
  // That there is one at all: these routes always make one.
  "engine",
]);
const NOT_A_URL: ReadonlySet<ErrorCode> = new Set(["invalid_url", "invalid_path", "forbidden_address"]);

/** What went wrong while an engine was asked for, as a response. `isUrl`: `model_path` has a scheme. */
export function refuseAdd(error: unknown, words: Words, isUrl: boolean): Response {
  if (!(error instanceof DownloadError)) return refuseEngine(error, words);
  const { code, message } = error;
  if (code === "model_id_conflict") return refuseEngine(taken(words, message), words);
  if (isUrl && (NOT_A_URL.has(code) || isAboutPath(error)))
    return refuseEngine(notAUrl(message, code), words);
  if (!isAboutPath(error)) return refuseEngine(error, words);
  const refusal = kolosalRefusal(error);
  return refusalResponse({ ...refusal, error: { ...refusal.error, param: "model_path" } });
}

const isAboutPath = ({ code, param }: DownloadError): boolean =>
  /^invalid_|^unsupported_provider$/.test(code) && param !== undefined && PATH_PARAMS.has(param);

/** The same for commands on an engine that is there. Rethrows what the dispatcher says better. */
export function refuseEngine(error: unknown, words: Words): Response {
  if (error instanceof EngineRefusal) return refusalResponse(error.refusal);
  if (error instanceof DownloadError && error.code === "download_not_found")
    return refusalResponse(unknown(words).refusal);
  if (error instanceof DownloadError && error.code === "engine_failed") {
    const body = { type: "model_loading_error", param: "model_path", code: "model_loading_failed" } as const;
    return refusalResponse(new EngineRefusal(422, body, error.message).refusal);
  }
  throw error as Problem;
}
