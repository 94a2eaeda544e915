import type { Content } from "../bytes.ts";
import type { Reply, WireRequest } from "../origin.ts";
import type { StoredModel } from "./models.ts";
import type { Tokens } from "./tokens.ts";

export interface RegistryState {
  /** By repository and tag. */
  models: Map<string, StoredModel>;
  /** By digest, shared by all models. */
  blobs: Map<string, Content>;
  tokens: Tokens;
  auth: "open" | "token";
  dialect: "ollama" | "hf";
  base(): string;
  /** A signed link to a blob on the CDN. */
  link(hex: string): string;
}

const MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json";

/** Answers as protocols/ollama.md §5 says. */
export function answer(state: RegistryState, request: WireRequest): Reply {
  if (request.path === "/v2/token") return giveToken(state, request);
  const [, repo, kind, what] = /^\/v2\/([^/]+\/[^/]+)\/(manifests|blobs)\/([^/]+)$/.exec(request.path) ?? [];
  if (repo === undefined || what === undefined) return failure(404, "NOT_FOUND", "page not found");
  if (request.method !== "GET" && request.method !== "HEAD")
    return failure(405, "UNSUPPORTED", "the operation is unsupported");
  const refused = refuse(state, repo, request);
  if (refused) return refused;
  return kind === "manifests" ? manifest(state, repo, what) : blob(state, repo, what);
}

function refuse(state: RegistryState, repo: string, request: WireRequest): Reply | undefined {
  const { authorization } = request.headers;
  const isPrivate = [...state.models.values()].some((it) => it.repo === repo && it.private);
  // An Ollama that does not sign is not believed to be one.
  const strange = /^ollama\//.test(request.headers["user-agent"] ?? "") && authorization === undefined;
  if (state.auth === "open" && !isPrivate && !strange) return undefined;
  if (state.tokens.opens(repo, authorization)) return undefined;
  const challenge = `Bearer realm="${state.base()}/v2/token",service="ollama",scope="repository:${repo}:pull"`;
  return failure(401, "UNAUTHORIZED", "authentication required", [["WWW-Authenticate", challenge]]);
}

function giveToken(state: RegistryState, { query, headers }: WireRequest): Reply {
  const values = new URLSearchParams(query);
  const repo = /^repository:(.+):pull$/.exec(values.get("scope") ?? "")?.[1];
  if (repo === undefined || values.get("service") !== "ollama")
    return failure(400, "UNSUPPORTED", "service and scope are needed");
  const isPrivate = [...state.models.values()].some((it) => it.repo === repo && it.private);
  if (isPrivate && !state.tokens.isUser(headers.authorization))
    return failure(401, "UNAUTHORIZED", "access denied");
  return json(200, { token: state.tokens.give(repo), expires_in: state.tokens.seconds });
}

function manifest(state: RegistryState, repo: string, tag: string): Reply {
  const found = state.models.get(`${repo}:${tag}`);
  if (found)
    return {
      status: 200,
      headers: [
        ["Content-Type", MANIFEST_TYPE],
        ["Docker-Content-Digest", `sha256:${found.hex}`],
      ],
      body: found.manifest,
    };
  const isKnown = [...state.models.values()].some((it) => it.repo === repo);
  if (state.dialect === "hf" && isKnown)
    return json(400, {
      error:
        tag === "sharded"
          ? "The specified tag is available but sharded GGUF files are not supported yet."
          : 'The specified tag is not a valid quantization scheme. Please use another tag or "latest"',
    });
  return failure(404, "MANIFEST_UNKNOWN", "manifest unknown", [], { Tag: tag });
}

/** Never the bytes themselves: another host has them (§5.2). */
function blob(state: RegistryState, repo: string, digest: string): Reply {
  const named = [...state.models.values()].some(
    (it) => it.repo === repo && it.blobs.some((one) => one.digest === digest),
  );
  if (!named || !state.blobs.has(digest)) return failure(404, "BLOB_UNKNOWN", "blob unknown to registry");
  return { status: 307, headers: [["Location", state.link(digest.slice(7))]] };
}

const json = (status: number, value: unknown, headers: [string, string][] = []): Reply => ({
  status,
  headers: [["Content-Type", "application/json; charset=utf-8"], ...headers],
  body: JSON.stringify(value),
});

function failure(
  status: number,
  code: string,
  message: string,
  headers: [string, string][] = [],
  detail: Record<string, unknown> = {},
): Reply {
  return json(status, { errors: [{ code, message, detail }] }, headers);
}
