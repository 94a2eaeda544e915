/** What to do with an attempt that ended in an error of this code. */
export type Verdict =
  /** Try again after a backoff; counts as an attempt unless bytes were gained. */
  | "retry"
  /** Wait until the cause clears by itself (disk, volume); costs no attempt. */
  | "wait"
  /** Another try cannot mend it. */
  | "final";

/**
 * The closed set of error codes and the retry verdict of each. The code decides the retry, every API family
 * maps it exhaustively (`Record<ErrorCode, …>`), and it never changes its meaning (FAULTS I10).
 */
export const VERDICTS = {
  // the request itself
  invalid_request: "final",
  invalid_url: "final",
  invalid_path: "final",
  name_collision: "final",
  model_id_conflict: "final",
  unsupported_provider: "final",
  download_not_found: "final",
  file_not_found: "final",
  invalid_state: "final",
  forbidden_address: "final",
  overloaded: "retry",
  // what the hub or server says of the thing asked for
  not_found: "final",
  revision_not_found: "final",
  entry_not_found: "final",
  auth_required: "final",
  gated: "final",
  forbidden: "final",
  disabled: "final",
  gone: "final",
  rejected: "final",
  rate_limited: "retry",
  server_error: "retry",
  // the way there
  dns: "retry",
  connect: "retry",
  network: "retry",
  timeout: "retry",
  tls: "final",
  proxy_auth: "final",
  redirects: "final",
  protocol: "retry",
  clock: "final",
  // the bytes
  bad_range: "retry",
  remote_changed: "retry",
  unexpected_content: "final",
  lfs_pointer: "final",
  size_mismatch: "retry",
  checksum: "final",
  too_large: "final",
  // the disk
  no_space: "wait",
  volume_gone: "wait",
  read_only: "wait",
  io: "wait",
  file_too_big: "final",
  tampered: "final",
  locked: "retry",
  // afterwards
  engine_failed: "final",
  internal: "final",
} as const satisfies Record<string, Verdict>;

export type ErrorCode = keyof typeof VERDICTS;

/**
 * Final errors that say nothing against the bytes that have arrived: of the way there, which somebody can mend or which is
 * another one tomorrow (the login page of a network shows a certificate of its own), of our disk, of what comes afterwards.
 */
export const KEEPS_PARTIALS: ReadonlySet<ErrorCode> = new Set([
  "tls",
  "proxy_auth",
  "redirects",
  "forbidden_address",
  "clock",
  "io",
  "engine_failed",
]);

/** Errors that soon prove to be lasting: no more attempts than this, whatever the policy allows (F3, F18, F68). */
export const MOST_ATTEMPTS: Partial<Record<ErrorCode, number>> = {
  protocol: 3,
  bad_range: 3,
  size_mismatch: 3,
};

export interface ErrorDetail {
  /** Milliseconds the other side asked us to wait (Retry-After, RateLimit), already clamped. */
  retryAfterMs?: number;
  /** Overrides the verdict of the code, for example a `protocol` error seen too often. */
  verdict?: Verdict;
  /** HTTP status that led to this error, where there was one. */
  status?: number;
  /** Request field the error speaks of. */
  param?: string;
  cause?: unknown;
}

/** The one error type that crosses rooms. `message` is for the user: what failed, where, what to do; no secrets. */
export class DownloadError extends Error {
  override readonly name = "DownloadError";
  readonly code: ErrorCode;
  readonly verdict: Verdict;
  readonly retryAfterMs: number | undefined;
  readonly status: number | undefined;
  readonly param: string | undefined;

  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    this.verdict = detail.verdict ?? VERDICTS[code];
    this.retryAfterMs = detail.retryAfterMs;
    this.status = detail.status;
    this.param = detail.param;
  }
}

/** The error as a DownloadError: found along the cause chain, otherwise `internal` with the original as cause. */
export function toDownloadError(error: unknown): DownloadError {
  for (let e: unknown = error; e instanceof Error; e = e.cause) if (e instanceof DownloadError) return e;
  const text = error instanceof Error ? error.message : String(error);
  return new DownloadError("internal", `Unexpected error: ${text}`, { cause: error });
}
