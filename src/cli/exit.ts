/** Exit codes of the command line (DESIGN §8). */
import { ConfigError } from "../config.ts";
import { DownloadError, type ErrorCode } from "../core/errors.ts";

export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  locked: 3,
  noAccess: 4,
  checksum: 5,
  noSpace: 6,
  interrupted: 130,
} as const;

const { failed, usage, locked, noAccess, checksum, noSpace } = EXIT;

const CODES: Record<ErrorCode, number> = {
  invalid_request: usage,
  invalid_url: usage,
  invalid_path: usage,
  name_collision: failed,
  model_id_conflict: failed,
  unsupported_provider: usage,
  download_not_found: noAccess,
  file_not_found: noAccess,
  invalid_state: failed,
  forbidden_address: failed,
  overloaded: failed,
  not_found: noAccess,
  revision_not_found: noAccess,
  entry_not_found: noAccess,
  auth_required: noAccess,
  gated: noAccess,
  forbidden: noAccess,
  disabled: noAccess,
  gone: noAccess,
  rejected: failed,
  rate_limited: failed,
  server_error: failed,
  dns: failed,
  connect: failed,
  network: failed,
  timeout: failed,
  tls: failed,
  proxy_auth: failed,
  redirects: failed,
  protocol: failed,
  clock: failed,
  bad_range: failed,
  remote_changed: failed,
  unexpected_content: failed,
  lfs_pointer: failed,
  size_mismatch: failed,
  checksum,
  too_large: failed,
  no_space: noSpace,
  volume_gone: failed,
  read_only: failed,
  io: failed,
  file_too_big: failed,
  tampered: failed,
  locked,
  engine_failed: failed,
  internal: failed,
};

/** Exit code for an error code, ours or one a daemon sent; an unknown one is a plain failure. */
export const exitFor = (code: string | null | undefined): number => CODES[code as ErrorCode] ?? failed;

/** Exit code of a thrown value. */
export function exitOf(error: unknown): number {
  if (error instanceof ConfigError) return usage;
  return error instanceof DownloadError ? exitFor(error.code) : failed;
}

/** One code for several outcomes: 0 when all are, the common one when they agree, else a plain failure. */
export function combined(codes: readonly number[]): number {
  const bad = new Set(codes.filter((code) => code !== EXIT.done));
  return bad.size === 0 ? EXIT.done : bad.size === 1 ? [...bad][0]! : failed;
}
