/** What can be wrong with a request before any verb of the core is asked. Closed, like the core's own error codes. */
export type ProblemCode =
  | "bad_host"
  | "forbidden_host"
  | "forbidden_origin"
  | "unauthorized"
  | "too_many_attempts"
  | "invalid_path_format"
  | "invalid_endpoint"
  | "method_not_allowed"
  | "unsupported_media_type"
  | "request_too_large"
  | "request_timeout"
  | "invalid_json"
  | "invalid_request"
  | "upgrade_required"
  | "too_many_streams"
  | "internal";

const STATUS: Record<ProblemCode, number> = {
  bad_host: 400,
  forbidden_host: 421,
  forbidden_origin: 403,
  unauthorized: 401,
  too_many_attempts: 429,
  invalid_path_format: 400,
  invalid_endpoint: 404,
  method_not_allowed: 405,
  unsupported_media_type: 415,
  request_too_large: 413,
  request_timeout: 408,
  invalid_json: 400,
  invalid_request: 400,
  upgrade_required: 426,
  too_many_streams: 503,
  internal: 500,
};

/** A refusal by the edge itself. Each family puts it into its own words; the message never repeats what was sent. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly code: ProblemCode;
  readonly status: number;
  readonly param: string | null;
  readonly headers: Record<string, string>;

  constructor(
    code: ProblemCode,
    message: string,
    detail: { param?: string; headers?: Record<string, string> } = {},
  ) {
    super(message);
    this.code = code;
    this.status = STATUS[code];
    this.param = detail.param ?? null;
    this.headers = detail.headers ?? {};
  }
}
