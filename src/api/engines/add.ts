import type { EngineSpec } from "../../core/download.ts";
import type { Downloads, EngineAnswer } from "../../core/downloads.ts";
import { engineSpec } from "../downloads/engine-spec.ts";
import { withoutUndefined } from "../downloads/start.ts";
import { Problem } from "../problem.ts";
import { hasScheme, readModelPath } from "./model-path.ts";
import { refuseAdd, type Words } from "./refusals.ts";
import type { AddEngineBody } from "./schemas.ts";

/** A request for an engine, judged as far as its body alone can be. */
export interface Wanted {
  spec: EngineSpec;
  body: AddEngineBody;
}

/** Throws `invalid_request` naming all that is required when any of it is missing, absent being null or empty too. */
export function required(body: unknown, names: readonly (readonly string[])[]): void {
  const members: Record<string, unknown> =
    typeof body === "object" && body !== null && !Array.isArray(body) ? { ...body } : {};
  const isMissing = (name: string) => [undefined, null, ""].includes(members[name] as never);
  const missing = names.find((spellings) => spellings.every(isMissing));
  if (missing === undefined) return;
  const all = names.map(([name]) => name);
  const list = `${all.slice(0, -1).join(", ")} and ${all.at(-1)}`;
  const [param = ""] = missing;
  throw new Problem("invalid_request", `Missing required fields: ${list} are required`, { param });
}

/** The engine with every default filled in. Throws `invalid_request` for parameters that contradict each other. */
export const wantedOf = (body: AddEngineBody): Wanted => ({
  body,
  spec: engineSpec(body, undefined, body.model_path),
});

/** Has the engine made, or its download started. `present` makes the answer; refusals are spoken in `words`. */
export async function add(
  downloads: Downloads,
  { body, spec }: Wanted,
  words: Words,
  present: (answer: EngineAnswer) => Response,
): Promise<Response> {
  const { model_path, token, sha256 } = body;
  try {
    const origin = await readModelPath(model_path, (path) => downloads.disk.locate(path));
    if ("path" in origin) return present(await downloads.engineRequests.add(spec, origin));
    const digest = sha256?.replace(/^sha256:/, "").toLowerCase();
    const request = withoutUndefined({ ...origin.request, token, sha256: digest });
    return present(await downloads.engineRequests.add(spec, { request }));
  } catch (error) {
    return refuseAdd(error, words, hasScheme(model_path));
  }
}
