import { type Content, generated } from "./bytes.ts";
import { manifestOf, type StoredModel } from "./ollama-registry/models.ts";
import { answer, type RegistryState } from "./ollama-registry/routes.ts";
import { Tokens } from "./ollama-registry/tokens.ts";
import { type Limits, type Origin, type OriginOptions, startOrigin } from "./origin.ts";

/** One layer: `type` is what follows `application/vnd.ollama.image.`, or a whole media type with a slash in it. */
export interface LayerSpec {
  type: string;
  content: string | Content;
}

export interface ModelSpec {
  /** `llama3.2`, `me/model:tag`; namespace `library` and tag `latest` are understood. */
  name: string;
  layers: readonly LayerSpec[];
  /** The config blob; null for a model that has none. Default: one of a Q4_K_M GGUF. */
  config?: string | null;
  /** Only tokens of users that may read it open it. */
  private?: boolean;
}

export interface RegistryOptions {
  models?: readonly ModelSpec[];
  /** `token`: every route asks for a token first, which the public gets for public models (§5.3). Default `open`. */
  auth?: "open" | "token";
  /** Lifetime of tokens given out, default 300 s. */
  tokenSeconds?: number;
  /** `hf` answers unknown and split tags as hf.co does (§5.5). Default `ollama`. */
  dialect?: "ollama" | "hf";
  /** Lifetime of links to the CDN, default one hour. */
  linkTtlMs?: number;
  /** Rates of the CDN. */
  cdnLimits?: Limits;
  tls?: OriginOptions["tls"];
}

/** A running registry. `await using` stops it. */
export interface OllamaRegistry extends AsyncDisposable {
  /** Base URL, what goes into `--ollama-registry` or `base_url`. */
  readonly endpoint: string;
  /** The two servers, for faults, counters and logs. The CDN has another host name. */
  readonly origin: Origin;
  readonly cdn: Origin;
  /** Adds a model, or replaces what the tag leads to. */
  add(spec: ModelSpec): StoredModel;
  /** Throws when there is none. */
  model(name: string): StoredModel;
  /** A user that may read private models; returns the token. */
  addUser(name: string): string;
  /** Makes every token given out so far worthless. */
  expireTokens(): void;
  /** Path of a blob on the CDN, for `cdn.on({ path })`. */
  cdnPath(digest: string): string;
  stop(): Promise<void>;
}

/** Starts a registry as protocols/ollama.md §5 has it, with the CDN that its blobs lie on. */
export async function startOllamaRegistry(options: RegistryOptions = {}): Promise<OllamaRegistry> {
  const { auth = "open", dialect = "ollama", linkTtlMs = 3_600_000, tls, tokenSeconds = 300 } = options;
  const cdn = await startOrigin({
    host: "localhost",
    ...(tls && { tls }),
    ...options.cdnLimits,
    // Object stores take one authorization only, the one in the link.
    handler: ({ headers }) => (headers.authorization === undefined ? undefined : { status: 400 }),
  });
  const state: RegistryState = {
    models: new Map(),
    blobs: new Map(),
    tokens: new Tokens(tokenSeconds),
    auth,
    dialect,
    base: () => origin.base,
    link: (hex) => cdn.sign(cdnPath(hex), linkTtlMs),
  };
  const origin = await startOrigin({ ...(tls && { tls }), handler: (request) => answer(state, request) });
  const add = (spec: ModelSpec): StoredModel => {
    const model = manifestOf(spec);
    state.models.set(`${model.repo}:${model.tag}`, model);
    for (const { digest, content } of model.blobs) {
      state.blobs.set(digest, content);
      cdn.put({ path: cdnPath(digest.slice(7)), content, signed: true, etag: `"${digest.slice(7, 39)}"` });
    }
    return model;
  };
  for (const spec of options.models ?? []) add(spec);
  const stop = async (): Promise<void> => void (await Promise.all([origin.stop(), cdn.stop()]));
  return {
    endpoint: origin.base,
    origin,
    cdn,
    add,
    model(name) {
      const found = [...state.models.values()].find((it) => it.name === name);
      if (!found) throw new Error(`the registry has no model ${name}`);
      return found;
    },
    addUser: (name) => state.tokens.addUser(name),
    expireTokens: () => state.tokens.expireAll(),
    cdnPath: (digest) => cdnPath(digest.replace("sha256:", "")),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

const cdnPath = (hex: string): string =>
  `/ollama/docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;

/** A model with the layers of an ordinary one: weights of that size, template, licence and parameters. */
export function ordinaryModel(name: string, seed = 1, size = 300_000): ModelSpec {
  return {
    name,
    layers: [
      { type: "model", content: generated(seed, size) },
      { type: "template", content: `{{ .Prompt }} ${seed}` },
      { type: "license", content: "Everybody may do everything.\n" },
      { type: "params", content: '{"stop":["<|end|>"]}' },
    ],
  };
}

export type { StoredModel } from "./ollama-registry/models.ts";
