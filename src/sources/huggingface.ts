import type { SourceRef } from "../core/download.ts";
import type { Clock, Http, Source, SourceContext } from "../core/ports.ts";
import { parseRemoteUrl } from "../core/remote-url.ts";
import { credentialsFor, requestSecret } from "./headers.ts";
import { hubAddress } from "./huggingface/address.ts";
import { type Call, HubClient } from "./huggingface/client.ts";
import { hubErrorByHeaders, type Subject } from "./huggingface/errors.ts";
import { DEFAULT_REVISION, parseRepoId } from "./huggingface/reference.ts";
import { inOrder, manifest, remoteFiles, select } from "./repository/choose.ts";
import { encodePath, parseRevision } from "./repository/reference.ts";
import { parseRequest } from "./repository/request.ts";

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
      const { id: repo, commit } = info;
      const list = manifest(ref, chosen, ({ path }) => `${repo}/resolve/${commit}/${encodePath(path)}`);
      const labels = info.mlx ? { labels: { format: "mlx" } } : {};
      return { repo, commit, ...list, ...labels };
    },

    async locate(_ref, file, context) {
      const own = credentials(context);
      return {
        url: parseRemoteUrl(`${hub.base}/${file.locator}`),
        operator: true,
        ...(own ? { credentials: own } : {}),
      };
    },

    explain: (ref, status, headers) => hubErrorByHeaders(subjectOf(ref), status, headers, clock.now()),

    async list(name, text, context) {
      const repo = parseRepoId(name, "repo");
      const { info, call } = await pin({ repo, revision: parseRevision(text ?? DEFAULT_REVISION) }, context);
      const entries = await client.tree(call, info.commit);
      return { repo: info.id, commit: info.commit, gated: info.gated, files: remoteFiles(entries) };
    },
  };
}
