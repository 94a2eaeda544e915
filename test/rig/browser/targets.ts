import type { Daemon } from "../../support/daemon.ts";

/** A word that only the daemon's data has: whoever reads it has read data. */
export const CANARY = "canary-7c1d0e";

/** Ids of what is there to be harmed. */
export interface Prey {
  /** An unfinished download: its `model_id` and its UUID. */
  victim: string;
  victimId: string;
  /** A finished one, and its file. */
  done: string;
  fileId: number;
  engine: string;
  /** Something on an origin of the rig's own. */
  url: string;
}

/** One request without its headers. */
export interface Shot {
  path: string;
  body: string;
}

export interface Target {
  /** As in the document: `POST /v1/downloads`. */
  name: string;
  method: string;
  /** Its answer may not end. */
  isStream: boolean;
  isSocket: boolean;
  /** On a path whose GET starts something. */
  starts: boolean;
  /** Neither GET nor HEAD nor OPTIONS. */
  changes: boolean;
  hasBody: boolean;
  /** It needs no key: the list is the rig's own (F190). */
  isOpen: boolean;
  /** What would have an effect. */
  sharp: Shot;
  /** The same without one; undefined where there is none: commands for all downloads. */
  blunt: Shot | undefined;
}

interface Operation {
  requestBody?: object;
  responses: Record<string, { content?: Record<string, unknown> }>;
}

const OPEN = new Set(["POST /v1/session", "GET /health", "GET /llms.txt", "GET /llms-full.txt"]);
const STARTING = new Set(["/api/models/download", "/api/download"]);
/** For all downloads at once, or for the session: there is nothing they could be aimed at harmlessly. */
const SWEEPING =
  /\/downloads\/(?:pause|resume|cancel)$|^DELETE (?:\/v1)?\/downloads$|^DELETE \/v1\/history$|^DELETE \/v1\/session$/;

/** Every route of the daemon's own document, with a request that would do harm or read data, and one that would not. */
export async function targetsOf(daemon: Daemon, prey: Prey): Promise<Target[]> {
  const { paths } = (await daemon.must("GET", "/openapi.json")) as {
    paths: Record<string, Record<string, Operation>>;
  };
  return Object.entries(paths).flatMap(([path, operations]) => {
    const targets = Object.entries(operations).map(([verb, operation]) =>
      targetOf(verb.toUpperCase(), path, operation, prey),
    );
    const preflight = { ...silent(targets[0]!), method: "OPTIONS", name: `OPTIONS ${path}`, isOpen: true };
    const heads = targets
      .filter(({ starts, changes }) => starts && !changes)
      .map((it) => ({ ...it, method: "HEAD", name: `HEAD ${path}`, isStream: false }));
    return [...targets, preflight, ...heads];
  });
}

const silent = (target: Target): Target => ({
  ...target,
  isStream: false,
  isSocket: false,
  starts: false,
  changes: false,
  hasBody: false,
  sharp: { ...target.sharp, body: "" },
  blunt: undefined,
});

function targetOf(method: string, path: string, { requestBody, responses }: Operation, prey: Prey): Target {
  const changes = method !== "GET";
  const name = `${method} ${path}`;
  const isSocket = responses["101"] !== undefined;
  const types = Object.keys(responses["200"]?.content ?? {});
  const isStream = isSocket || (!changes && types.includes("text/event-stream"));
  const hasBody = changes && requestBody !== undefined;
  const sharp = {
    path: filled(path, prey) + queryOf(path, prey),
    body: hasBody ? bodyOf(method, path, prey) : "",
  };
  const nothing = path.replaceAll(/\{\w+\}/g, "nothing-here");
  const blunt = SWEEPING.test(name) ? undefined : { path: nothing, body: hasBody ? "{}" : "" };
  const starts = STARTING.has(path);
  return {
    name,
    method,
    isStream,
    isSocket,
    starts,
    changes,
    hasBody,
    isOpen: OPEN.has(name),
    sharp,
    blunt,
  };
}

const filled = (path: string, prey: Prey): string =>
  path.replaceAll(/\{(\w+)\}/g, (_, parameter: string) => {
    if (parameter === "download_id") return prey.victimId;
    if (parameter === "provider") return "huggingface";
    if (parameter === "asset") return "start.js";
    if (path.startsWith("/v1/files")) return String(prey.fileId);
    if (path.startsWith("/v1/history")) return encodeURIComponent(prey.done);
    if (/engines|models/.test(path)) return encodeURIComponent(prey.engine);
    return encodeURIComponent(prey.victim);
  });

function queryOf(path: string, { url }: Prey): string {
  if (path === "/api/download") return "?ModelRepo=evil/model&FilePath=m.gguf";
  if (path === "/api/models/download")
    return `?${new URLSearchParams({ provider: "url", model: `${url}?get` })}`;
  if (path.startsWith("/v1/history")) return "?files=true";
  if (path === "/v1/sources/{provider}/files") return "?repo=evil/model";
  return /^(?:\/v1)?\/downloads$/.test(path) ? "?state=all" : "";
}

/** Bodies with an effect, by path without `/v1`. A route that takes one and is not here stops the rig. */
const BODIES: Record<string, ((prey: Prey) => object) | undefined> = {
  "/downloads": ({ url }) => ({ url: `${url}?post` }),
  "/downloads/{id}": () => ({ priority: 77 }),
  "/settings": () => ({ paused: false, max_concurrent: 7 }),
  // Not the key itself: wrong ones are slowed down, which is another rig's business.
  "/session": () => ({}),
  "/references": ({ victim }) => ({ references: [victim] }),
  "/engines": ({ url }) => ({ engine_id: "evil-engine", model_path: `${url}?engine` }),
  "/models": ({ url }) => ({ model_id: "evil-model", model_path: `${url}?model`, model_type: "llm" }),
  "/local/download": () => ({ repo_id: "evil/model", filename: "local.gguf" }),
  "/api/download": () => ({ ModelRepo: "evil/model", FilePath: "wingman.gguf" }),
};

function bodyOf(method: string, path: string, prey: Prey): string {
  const make = BODIES[path.replace(/^\/v1/, "")];
  if (!make) throw new Error(`${method} ${path} takes a body that this rig does not know: add it to BODIES`);
  return JSON.stringify(method === "DELETE" ? { action: "cancel_all" } : make(prey));
}
