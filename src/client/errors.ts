/** What the server refused, and what kept it from answering. */

/** Codes of the kolosal envelope; a newer server may know more. */
export type ErrorCode =
  | "invalid_request"
  | "invalid_json"
  | "invalid_url"
  | "invalid_path"
  | "invalid_path_format"
  | "invalid_endpoint"
  | "method_not_allowed"
  | "unsupported_media_type"
  | "request_too_large"
  | "request_timeout"
  | "unauthorized"
  | "forbidden_origin"
  | "forbidden_host"
  | "too_many_attempts"
  | "too_many_streams"
  | "download_not_found"
  | "file_not_found"
  | "engine_not_found"
  | "model_not_found"
  | "model_id_conflict"
  | "engine_id_exists"
  | "model_already_loaded"
  | "unsupported_provider"
  | "not_found"
  | "auth_required"
  | "gated"
  | "rate_limited"
  | "no_space"
  | "overloaded"
  | (string & {});

/** The envelope's `type`. */
export type ErrorType =
  | "invalid_request_error"
  | "not_found_error"
  | "server_error"
  | "model_download_error"
  | "model_loading_error"
  | (string & {});

export interface ErrorDetail {
  status: number;
  type?: ErrorType;
  code?: ErrorCode | null;
  param?: string | null;
  retryAfterSeconds?: number;
  cause?: unknown;
}

/** The server answered with a status of 400 or more. `message` is the server's own, for people. */
export class ModelhaulError extends Error {
  override readonly name: string = "ModelhaulError";
  /** HTTP status; of a WebSocket reply the one its REST route would have had, as far as the code tells. */
  readonly status: number;
  readonly type: ErrorType;
  /** One word for programs; null where the server has none. */
  readonly code: ErrorCode | null;
  /** Field or parameter it speaks of. */
  readonly param: string | null;
  /** Seconds after which it may be tried again, when the server says so. */
  readonly retryAfterSeconds: number | undefined;

  constructor(message: string, detail: ErrorDetail) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.status = detail.status;
    this.type = detail.type ?? (detail.status >= 500 ? "server_error" : "invalid_request_error");
    this.code = detail.code ?? null;
    this.param = detail.param ?? null;
    this.retryAfterSeconds = detail.retryAfterSeconds;
  }
}

/** There was no answer: nobody listens there, the connection broke, or it took too long. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  /** It took longer than `timeoutMs`. */
  readonly timedOut: boolean;

  constructor(message: string, options: { cause?: unknown; timedOut?: boolean } = {}) {
    super(message, { cause: options.cause });
    this.timedOut = options.timedOut ?? false;
  }
}

/** Something waited for did not happen in time. */
export class WaitTimeoutError extends Error {
  override readonly name = "WaitTimeoutError";
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

/** The error of any family's body: an envelope, the local family's object, or `{error: "text"}`. */
export function errorOf(status: number, body: unknown, retryAfter: string | null): ModelhaulError {
  const outer = isRecord(body) ? body : {};
  const inner = isRecord(outer.error) ? outer.error : outer;
  const message = textOf(inner.message) ?? textOf(outer.error) ?? `The server answered ${status}`;
  const seconds = retryAfter === null ? Number.NaN : Number(retryAfter);
  const type = textOf(inner.type);
  return new ModelhaulError(message, {
    status,
    ...(type === undefined ? {} : { type }),
    code: textOf(inner.code) ?? null,
    param: textOf(inner.param) ?? null,
    ...(Number.isFinite(seconds) ? { retryAfterSeconds: seconds } : {}),
  });
}
