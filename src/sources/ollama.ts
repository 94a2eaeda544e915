import type { SourceRef } from "../core/download.ts";
import { DownloadError } from "../core/errors.ts";
import type { Clock, Http, Source, StartRequest } from "../core/ports.ts";
import { parseBase, speaking } from "./base-url.ts";
import { credentialsFor, requestSecret } from "./headers.ts";
import { LIMITS, type OllamaLimits, pull } from "./ollama/pull.ts";
import { DEFAULT_HOST, type ModelName, parseModelName, shortName } from "./ollama-registry/name.ts";

export interface OllamaOptions {
  http: Http;
  clock: Clock;
  /** Base URL of the operator's own server. */
  server: string;
  limits?: Partial<OllamaLimits>;
}

const NAME = "ollama";

/**
 * Models that a running Ollama server pulls by itself, into its own folder: we ask for them, follow and stop it
 * (protocols/ollama.md §2). Of the server only `/api/pull` is needed.
 */
export function createOllama({ http, clock, server, limits }: OllamaOptions): Source {
  const own = server.replace(/\/+$/, "");
  const daemon = { http, clock, limits: { ...LIMITS, ...limits } };

  return {
    name: NAME,
    description: "Ollama model, pulled by a running Ollama server into its own folder",
    // Nothing of it lies on our disk: equal requests are one download whatever layout they wish for.
    layouts: ["flat"],

    accepts: ({ provider }) => provider?.toLowerCase() === NAME,
    parse: (request) => parseRequest(http, request, own),
    secretOf: requestSecret,
    defaultModelId: ({ repo = "" }) => repo,

    // No file of it is for our own transfer.
    resolve: async () => ({ files: [] }),
    locate: async (_ref, { path }) => {
      throw new DownloadError("internal", `${path} is fetched by the Ollama server, not by us.`);
    },

    async bring({ repo = "", baseUrl }, context, observer) {
      const server = baseUrl ?? own;
      const request = {
        server,
        model: repo,
        credentials: credentialsFor(new URL(server).origin, context.secret),
        operator: baseUrl === undefined,
      };
      try {
        await pull(daemon, request, context, observer);
      } catch (error) {
        if (!(error instanceof DownloadError) || error.code !== "checksum") throw error;
        // It has thrown the damaged layer away and asks to be asked once more (F75).
        observer.warning(`${error.message} It was asked once more.`);
        await pull(daemon, request, context, observer);
      }
    },
  };
}

function parseRequest(http: Http, request: StartRequest, own: string): SourceRef {
  requestSecret(request);
  refuseForeignFields(request);
  const text = request.model?.trim() ?? "";
  if (text === "") refuse("Give model, such as llama3.2 or llama3.2:1b.", "model");
  const { scheme, ...name } = parseModelName(text, "model");
  if (scheme !== undefined)
    refuse(
      "Leave the scheme out of the model's name: the Ollama server decides how it asks a registry.",
      "model",
    );
  // That server would go there for us: where we may not go, it is not sent either (F166).
  if (name.host !== DEFAULT_HOST) speaking("model", () => http.check(`https://${name.host}/`));
  const baseUrl = request.baseUrl === undefined ? undefined : parseServer(http, request.baseUrl, own);
  return {
    provider: NAME,
    key: `${NAME}:${JSON.stringify([canonical(name), sameServer(baseUrl ?? own)])}`,
    url: `${NAME}:${shortName(name)}:${name.tag}`,
    repo: text,
    ...(baseUrl === undefined ? {} : { baseUrl }),
  };
}

/** With its tag, and in lower case: to a server these are one model. */
const canonical = (name: ModelName): string => `${shortName(name)}:${name.tag}`.toLowerCase();

/** The names of this machine are one server. */
const sameServer = (url: string): string => {
  const { protocol, hostname, port, pathname } = new URL(url);
  const host = /^(?:localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0)$/.test(hostname) ? "localhost" : hostname;
  return `${protocol}//${host}:${port}${pathname.replace(/\/+$/, "")}`;
};

/**
 * The server a request names, under the rules for addresses that clients give (A26); undefined when it is the
 * operator's own. Throws `invalid_url`, `forbidden_address`.
 */
function parseServer(http: Http, text: string, own: string): string | undefined {
  const full = completed(text);
  const given = URL.parse(full);
  const isPlain = given !== null && !/[?#@]/.test(full);
  if (isPlain && /^https?:$/.test(given.protocol) && sameServer(full) === sameServer(own)) return undefined;
  return parseBase(http, full, "base_url");
}

/** `host`, `host:port` and `:port` are completed as `OLLAMA_HOST` is (protocols/ollama.md §1), but not corrected. */
function completed(text: string): string {
  const match = /^(\[[^\]]*\]|[^:/?#\s]*)(:\d+)?(\/[^?#]*)?$/.exec(text);
  if (match === null || text === "") return text;
  const [, host, port = ":11434", path = ""] = match;
  return `http://${host || "127.0.0.1"}${port}${path}`;
}

function refuseForeignFields(request: StartRequest): void {
  const { url, filename, revision, sha256 } = request;
  if (request.repoId !== undefined) refuse("Name the model with model, not with repo_id.", "repo_id");
  const fields = { url, filename, revision, sha256 };
  const lists = { include: request.include, exclude: request.exclude };
  const given = [
    ...Object.entries(fields).filter(([, value]) => value !== undefined),
    ...Object.entries(lists).filter(([, value]) => value !== undefined && value.length > 0),
  ];
  const first = given[0]?.[0];
  if (first !== undefined)
    refuse(`${first} does not go with a model of Ollama, which comes as a whole; leave it out.`, first);
}

function refuse(message: string, param: string): never {
  throw new DownloadError("invalid_request", message, { param });
}
