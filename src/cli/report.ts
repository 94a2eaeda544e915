/** A thrown value as exit code and one line for people. */
import { DaemonError } from "./client.ts";
import { EXIT, exitFor, exitOf } from "./exit.ts";
import { safe } from "./format.ts";

export function codeAndText(error: unknown): { code: number; text: string } {
  const text = safe(error instanceof Error ? error.message : String(error));
  if (!(error instanceof DaemonError)) return { code: exitOf(error), text };
  if (error.code !== null) return { code: exitFor(error.code), text };
  return { code: error.status === 404 || error.status === 403 ? EXIT.noAccess : EXIT.failed, text };
}
