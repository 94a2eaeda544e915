import type { SourceRef } from "../core/download.ts";
import { parseRepoPath } from "../core/paths.ts";
import type { Clock, Http, RemoteFile, Source, SourceContext } from "../core/ports.ts";
import { quantizationOf, shardOf } from "./gguf-names.ts";
import { credentialsFor, requestSecret } from "./headers.ts";
import { hubAddress } from "./huggingface/address.ts";
import { inOrder, manifest, select } from "./huggingface/choose.ts";
import { type Call, HubClient, type HubEntry } from "./huggingface/client.ts";
import { hubErrorByHeaders, type Subject } from "./huggingface/errors.ts";
import { DEFAULT_REVISION, parseRepoId, parseRevision } from "./huggingface/reference.ts";
import { parseRequest } from "./huggingface/request.ts";

export interface HuggingFaceOptions {
  http: Http;
  /** Base URL of the hub or of a mirror of it. */
  endpoint: string;
  /** The operator's token: for requests that bring none, and for this endpoint only. */
  token?: string;
  clock: Clock;
}

const NAMES = new Set(["huggingface", "hf"]);

/** Models of the Hugging Face Hub: one file, a selection, or a whole repository, pinned to one commit. */
export function createHuggingFace({ http, endpoint, token, clock }: HuggingFaceOptions): Source {
  const hub = hubAddress(endpoint);
  const client = new HubClient(http, hub.base, clock);
  const credentials = ({ secret }: SourceContext) => credentialsFor(hub.origin, secret, token);
  const subjectOf = (ref: Pick<SourceRef, "repo" | "revision" | "files">): Subject => ({
    host: hub.host,
    repo: ref.repo ?? "",
    revision: ref.revision ?? DEFAULT_REVISION,
    ...(ref.files?.length === 1 ? { path: ref.files[0] } : {}),
  });
  /** The revision's commit, and a call that asks under the canonical name. */
  const pin = async (ref: Parameters<typeof subjectOf>[0], context: SourceContext) => {
    const call: Call = { subject: subjectOf(ref), credentials: credentials(context), signal: context.signal };
    const info = await client.info(call);
    return { info, call: { ...call, subject: { ...call.subject, repo: info.id } } };
  };

  return {
    name: "huggingface",
    description: "Hugging Face Hub: one file, a selection by patterns, or a whole repository",

    accepts: ({ provider, repoId, url }) =>
      provider === undefined
        ? repoId !== undefined || (url !== undefined && hub.readUrl(url) !== undefined)
        : NAMES.has(provider.toLowerCase()),

    parse: (request) => parseRequest(request, hub),
    secretOf: requestSecret,
    defaultModelId: ({ repo = "", files }) => (files?.length === 1 ? `${repo}/${files[0]}` : repo),

    async resolve(ref, context) {
      const { info, call } = await pin(ref, context);
      const chosen = ref.files
        ? inOrder(ref, await client.paths(call, info.commit, ref.files))
        : select(ref, await client.tree(call, info.commit));
      if (info.gated && chosen.some((entry) => entry.masked)) await client.checkAccess(call);
      return manifest(ref, info.id, info.commit, chosen);
    },

    async locate(_ref, file, context) {
      const own = credentials(context);
      return { url: `${hub.base}/${file.locator}`, operator: true, ...(own ? { credentials: own } : {}) };
    },

    explain: (ref, status, headers) => hubErrorByHeaders(subjectOf(ref), status, headers, clock.now()),

    async list(name, text, context) {
      const repo = parseRepoId(name, "repo");
      const { info, call } = await pin({ repo, revision: parseRevision(text ?? DEFAULT_REVISION) }, context);
      const entries = await client.tree(call, info.commit);
      const files = entries.filter(isSafe).map(remoteFile);
      return { repo: info.id, commit: info.commit, gated: info.gated, files };
    },
  };
}

/** Names that could not be downloaded anyway are not offered. */
function isSafe(entry: HubEntry): boolean {
  try {
    return parseRepoPath(entry.path) === entry.path;
  } catch {
    return false;
  }
}

function remoteFile({ path, size, digest }: HubEntry): RemoteFile {
  const shard = shardOf(path);
  return {
    path,
    size,
    digest,
    quantization: quantizationOf(path),
    shardSet: shard?.set ?? null,
    shard: shard ? { number: shard.number, count: shard.count } : null,
  };
}
