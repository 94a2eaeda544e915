import { join } from "node:path";
import type { Command } from "./measure.ts";
import type { Fetch } from "./peers.ts";

/** One run of `modelhaul pull` on a data folder of its own. */
export function pull(
  executable: string,
  refs: readonly string[],
  fetch: Omit<Fetch, "url" | "name">,
): Command {
  const { out, connections = 8, sha256 } = fetch;
  const digest = sha256 === undefined ? [] : ["--sha256", sha256];
  const folders = ["--to", out, "--data-dir", join(out, ".data")];
  return {
    command: [
      executable,
      "pull",
      ...refs,
      ...digest,
      ...folders,
      "--connections",
      String(connections),
      "--quiet",
    ],
    cwd: out,
  };
}
