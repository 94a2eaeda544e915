/** `[[startup]]` tables of the config file as start requests, by the same reader as a body of `POST /v1/downloads`. */
import type { TSchema } from "@sinclair/typebox";
import { StartSchema } from "../api/downloads/schemas.ts";
import { startRequest } from "../api/downloads/start.ts";
import { Problem } from "../api/problem.ts";
import { checker } from "../api/validation.ts";
import type { StartupTable } from "../config.ts";
import type { StartRequest } from "../core/ports.ts";
import { badEntry } from "../core/startup.ts";

const check = checker(StartSchema);
/** A config file is copied and committed. */
const SECRETS = new Set(["token", "headers"]);

/** Throws `invalid_request` that names the entry and the key (F118). */
export function startupRequests(tables: readonly StartupTable[]): StartRequest[] {
  return tables.map((table, i) => {
    try {
      return read(table);
    } catch (error) {
      if (error instanceof Problem) throw badEntry(i + 1, error.param, error.message);
      throw error;
    }
  });
}

function read(table: StartupTable): StartRequest {
  for (const name of Object.keys(table)) if (SECRETS.has(name)) throw secretRefusal(name);
  const stranger = strangerIn(table, StartSchema);
  if (stranger !== undefined)
    throw new Problem("invalid_request", "no such key", { param: stranger.join(".") });
  const request = startRequest(check(table));
  const modelId = request.modelId ?? request.engine?.engineId;
  return modelId === undefined ? request : { ...request, modelId };
}

const secretRefusal = (name: string): Problem =>
  new Problem(
    "invalid_request",
    "secrets do not belong into the config file; the hub's token is taken from HF_TOKEN",
    { param: name },
  );

/** The way to the first member that the schema does not know; what the API ignores is a slip in a file (F118). */
function strangerIn(value: unknown, schema: TSchema): string[] | undefined {
  const known: Record<string, TSchema> | undefined = schema.properties;
  if (known === undefined || typeof value !== "object" || value === null) return undefined;
  for (const [name, member] of Object.entries(value)) {
    const own = Object.hasOwn(known, name) && name !== "action" ? known[name] : undefined;
    const below = own === undefined ? [] : strangerIn(member, own);
    if (below !== undefined) return [name, ...below];
  }
  return undefined;
}
