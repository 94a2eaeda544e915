import type { DownloadError, ErrorCode } from "../core/errors.ts";

/**
 * HTTP status of each error a verb can end in at once. 401 is kept for our own key: a hub that wants a token is 403.
 * 502 and 504 speak of the hub or server asked for, 507 of the disk here, 503 of what is over soon (F102).
 */
export const STATUS: Record<ErrorCode, number> = {
  invalid_request: 400,
  invalid_url: 400,
  invalid_path: 400,
  name_collision: 409,
  model_id_conflict: 409,
  unsupported_provider: 400,
  download_not_found: 404,
  file_not_found: 404,
  invalid_state: 400,
  forbidden_address: 400,
  overloaded: 503,
  not_found: 404,
  revision_not_found: 404,
  entry_not_found: 404,
  auth_required: 403,
  gated: 403,
  forbidden: 403,
  disabled: 403,
  gone: 404,
  rejected: 502,
  rate_limited: 429,
  server_error: 502,
  dns: 502,
  connect: 502,
  network: 502,
  timeout: 504,
  tls: 502,
  proxy_auth: 502,
  redirects: 502,
  protocol: 502,
  clock: 502,
  bad_range: 502,
  remote_changed: 409,
  unexpected_content: 502,
  lfs_pointer: 502,
  size_mismatch: 502,
  checksum: 409,
  too_large: 502,
  no_space: 507,
  volume_gone: 507,
  read_only: 507,
  io: 507,
  file_too_big: 507,
  tampered: 409,
  locked: 503,
  engine_failed: 500,
  internal: 500,
};

/** When to ask again, where that helps. */
export function retryAfter({ code, retryAfterMs }: DownloadError): Record<string, string> {
  if (retryAfterMs !== undefined) return { "Retry-After": String(Math.ceil(retryAfterMs / 1000)) };
  return STATUS[code] === 503 ? { "Retry-After": "1" } : {};
}
