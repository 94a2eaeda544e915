import { type Digest, knownDigest, type SourceRef } from "../core/download.ts";
import { DownloadError } from "../core/errors.ts";
import { type ModelPath, parseModelPath } from "../core/paths.ts";
import type { Clock, Http, Manifest, RemoteFile, Source, StartRequest } from "../core/ports.ts";
import { parseBase } from "./base-url.ts";
import { requestSecret } from "./headers.ts";
import { RegistryClient } from "./ollama-registry/client.ts";
import { blobError } from "./ollama-registry/errors.ts";
import { type Layer, type ModelManifest, parseManifest, WEIGHTS } from "./ollama-registry/manifest.ts";
import { DEFAULT_TAG, parseModelName, shortName } from "./ollama-registry/name.ts";
import { type Place, placeOf, urlOf } from "./ollama-registry/place.ts";

export interface OllamaRegistryOptions {
  http: Http;
  clock: Clock;
  /** Base URL of Ollama's registry, or of a mirror of it. */
  registry: string;
}

const NAME = "ollama-registry";

/**
 * Models of Ollama without an Ollama: manifest and blobs straight from a registry into a models directory, where a
 * daemon finds them (protocols/ollama.md §5, §6).
 */
export function createOllamaRegistry({ http, clock, registry }: OllamaRegistryOptions): Source {
  const client = new RegistryClient(http, clock);
  const own = registry.replace(/\/+$/, "");
  const read = async (ref: Parameters<typeof placeOf>[0], context: Parameters<Source["resolve"]>[1]) => {
    const place = placeOf(ref, own);
    const text = await client.manifest(place, context);
    return { place, manifest: parseManifest(text, `${place.shown}:${place.name.tag} on ${place.server}`) };
  };

  return {
    name: NAME,
    description: "Ollama model without a daemon: straight from the registry into Ollama's models directory",
    layouts: ["ollama"],

    accepts: ({ provider }) => provider?.toLowerCase() === NAME,
    parse: (request) => parseRequest(http, request, own),
    secretOf: requestSecret,
    defaultModelId: ({ repo, revision }) => `${repo}:${revision}`,

    async resolve(ref, context): Promise<Manifest> {
      const { place, manifest } = await read(ref, context);
      const { text, layers } = manifest;
      const digest = sha256(text);
      const { host, namespace, model, tag } = place.name;
      const path = parseModelPath(`manifests/${host}/${namespace}/${model}/${tag}`);
      return {
        repo: place.shown,
        commit: digest.hex,
        files: [
          ...layers.map((it) => ({
            path: blobPath(it),
            size: it.size,
            digest: it.digest,
            locator: nameOf(it.digest),
          })),
          { path, size: Buffer.byteLength(text), digest, locator: text },
        ],
      };
    },

    // Fetched once: a tag may lead to another model by the time the blobs are there.
    content: ({ path, locator }) => (path.startsWith("manifests/") ? locator : undefined),

    async locate(ref, { locator }, context) {
      const place = placeOf(ref, own);
      const credentials = await client.credentials(place, context, locator);
      const { operator } = place;
      return { url: urlOf(place, "blobs", locator), operator, ...(credentials ? { credentials } : {}) };
    },

    explain(ref, status) {
      const place = placeOf(ref, own);
      if (status === 401) client.forget(place);
      return blobError(place, status);
    },

    async list(repo, revision, context) {
      const name = parseModelName(revision === undefined ? repo : `${repo}:${revision}`, "repo");
      const ref = { repo: shortName(name), revision: name.tag };
      const { place, manifest } = await read(ref, context);
      const quantization = await quantizationOf(client, place, context, manifest);
      return {
        repo: place.shown,
        commit: sha256(manifest.text).hex,
        gated: false,
        files: manifest.layers.map((it) => remoteFile(it, quantization)),
      };
    },
  };
}

const blobPath = ({ digest }: Layer): ModelPath => parseModelPath(`blobs/sha256-${digest.hex}`);
const nameOf = ({ hex }: Digest): string => `sha256:${hex}`;
const sha256 = (text: string): Digest =>
  knownDigest({ algorithm: "sha256", hex: new Bun.CryptoHasher("sha256").update(text).digest("hex") });

function remoteFile(layer: Layer, quantization: string | null): RemoteFile {
  const { size, digest, mediaType } = layer;
  const isWeights = mediaType === WEIGHTS;
  return {
    path: blobPath(layer),
    size,
    digest,
    quantization: isWeights ? quantization : null,
    shardSet: null,
    shard: null,
  };
}

/** As the config says, where there is one of a model. */
async function quantizationOf(
  client: RegistryClient,
  place: Place,
  context: Parameters<Source["resolve"]>[1],
  { config }: ModelManifest,
): Promise<string | null> {
  if (!config) return null;
  const value = (await client.json(place, context, nameOf(config.digest))) as Record<string, unknown> | null;
  return typeof value?.file_type === "string" ? value.file_type : null;
}

function parseRequest(http: Http, request: StartRequest, registry: string): SourceRef {
  requestSecret(request);
  const text = request.model ?? request.repoId;
  if (text === undefined) refuse("Give model, such as llama3.2 or llama3.2:1b.", "model");
  refuseForeignFields(request);
  const nameParam = request.model === undefined ? "repo_id" : "model";
  const { scheme, ...named } = parseModelName(text, nameParam);
  const tag = tagOf(named.tag, request.revision);
  const name = parseModelName(`${named.host}/${named.namespace}/${named.model}:${tag}`, "revision");
  const given = request.baseUrl ?? (scheme === undefined ? undefined : `${scheme}://${name.host}`);
  // The operator's own address is allowed wherever it is (A26).
  const isOwn = given?.replace(/\/+$/, "") === registry;
  const baseUrl =
    given === undefined || isOwn
      ? undefined
      : parseBase(http, given, request.baseUrl === undefined ? nameParam : "base_url");
  const ref = { repo: shortName(name), revision: tag, ...(baseUrl === undefined ? {} : { baseUrl }) };
  const place = placeOf(ref, registry);
  const key = JSON.stringify([name.host, name.namespace, name.model, tag, baseUrl]);
  return { provider: NAME, key: `${NAME}:${key}`, url: urlOf(place, "manifests", tag), ...ref };
}

/** The tag may also be given as revision. */
function tagOf(tag: string, revision: string | undefined): string {
  if (revision === undefined || revision === tag) return tag;
  if (tag !== DEFAULT_TAG)
    refuse("The model's name has another tag than revision; give one of them.", "revision");
  return revision;
}

function refuseForeignFields(request: StartRequest): void {
  const { url, repoId, model, filename, sha256: digest } = request;
  if (model !== undefined && repoId !== undefined && repoId !== model)
    refuse("repo_id and model name different models; give one of them.", "repo_id");
  const fields = { url, filename, sha256: digest };
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
