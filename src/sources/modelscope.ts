import type { SourceRef } from "../core/download.ts";
import { DownloadError, type ErrorCode } from "../core/errors.ts";
import type { Clock, Credentials, Http, Source, SourceContext } from "../core/ports.ts";
import { parseRemoteUrl } from "../core/remote-url.ts";
import { credentialsFor, requestSecret } from "./headers.ts";
import { type Site, siteAddress } from "./modelscope/address.ts";
import { type Call, SiteClient } from "./modelscope/client.ts";
import type { Subject } from "./modelscope/errors.ts";
import { DEFAULT_REVISION, parseRepoId } from "./modelscope/reference.ts";
import { inOrder, manifest, remoteFiles, select } from "./repository/choose.ts";
import { parseRevision } from "./repository/reference.ts";
import { parseRequest } from "./repository/request.ts";

export interface ModelScopeOptions {
  http: Http;
  /** Base URL of a ModelScope site or of a mirror of one. */
  endpoint: string;
  /** The operator's token: for requests that bring none, and for this endpoint only. */
  token?: string;
  clock: Clock;
}

const NAMES = new Set(["modelscope", "ms"]);

/**
 * Models of ModelScope: one file, a selection, or a whole repository (protocols/others.md §1). Every file is fetched at
 * the commit that the list was made of and proven by the SHA-256 that the site gives for all of them. The files lie in
 * plain folders: the Hugging Face cache is no place for another hub's commits.
 */
export function createModelScope({ http, endpoint, token, clock }: ModelScopeOptions): Source {
  const address = siteAddress(endpoint);
  const client = new SiteClient(http, clock);
  const credentials = (site: Site, { secret }: SourceContext) =>
    withCookie(credentialsFor(site.origin, secret, site.own ? token : undefined), secret.token ?? token);
  const subjectOf = (ref: Pick<SourceRef, "repo" | "revision" | "files" | "baseUrl">): Subject => ({
    host: address.siteOf(ref).host,
    repo: ref.repo ?? "",
    revision: ref.revision ?? DEFAULT_REVISION,
    ...(ref.files?.length === 1 ? { path: ref.files[0] } : {}),
    page: `${address.siteOf(ref).base}/models/${ref.repo}`,
    known: false,
  });
  /** What the site says of the model, and a call that asks under its canonical name. */
  const look = async (ref: Parameters<typeof subjectOf>[0], context: SourceContext) => {
    const site = address.siteOf(ref);
    const own = credentials(site, context);
    const subject = { ...subjectOf(ref), known: own !== undefined };
    const call: Call = { site, subject, credentials: own, signal: context.signal };
    const info = await client.info(call);
    return { info, call: { ...call, subject: { ...subject, repo: info.id } } };
  };

  return {
    name: "modelscope",
    description: "ModelScope: one file, a selection by patterns, or a whole repository",
    layouts: ["flat"],

    accepts: ({ provider, url }) =>
      provider === undefined
        ? url !== undefined && address.readUrl(url) !== undefined
        : NAMES.has(provider.toLowerCase()),

    parse: (request) => parseRequest(request, address),
    secretOf: requestSecret,
    defaultModelId: ({ repo = "", files }) => (files?.length === 1 ? `${repo}/${files[0]}` : repo),

    async resolve(ref, context) {
      const { info, call } = await look(ref, context);
      const { commit, entries } = await client.tree(call, ref.files);
      const chosen = ref.files ? inOrder(ref, entries) : select(ref, entries);
      const { id: repo } = info;
      const list = manifest(ref, chosen, ({ path, changedAt }) => {
        const pin = commit ?? changedAt ?? call.subject.revision;
        return `api/v1/models/${repo}/repo?Revision=${encodeURIComponent(pin)}&FilePath=${encodeURIComponent(path)}`;
      });
      const labels = info.mlx ? { labels: { format: "mlx" } } : {};
      return { repo, ...(commit === null ? {} : { commit }), ...list, ...labels };
    },

    async locate(ref, file, context) {
      const site = address.siteOf(ref);
      const own = credentials(site, context);
      const url = parseRemoteUrl(`${site.base}/${file.locator}`);
      return { url, ...(site.own ? { operator: true } : {}), ...(own ? { credentials: own } : {}) };
    },

    explain: (ref, status, headers) => explain(subjectOf(ref), status, headers),

    async list(name, text, context) {
      const revision = parseRevision(text ?? DEFAULT_REVISION);
      const { info, call } = await look({ repo: parseRepoId(name, "repo"), revision }, context);
      const { commit, entries } = await client.tree(call);
      return { repo: info.id, commit, gated: info.gated, files: remoteFiles(entries) };
    },
  };
}

/** The download route reads the session cookie, newer ones the header: both, for the site's own origin only. */
function withCookie(own: Credentials | undefined, token: string | undefined): Credentials | undefined {
  if (own === undefined || token === undefined || own.headers.Authorization !== `Bearer ${token}`) return own;
  const hasCookie = Object.keys(own.headers).some((name) => name.toLowerCase() === "cookie");
  // RFC 6265 §4.1.1 cookie-octet: anything else would end the value.
  if (hasCookie || !/^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+$/.test(token)) return own;
  return { ...own, headers: { ...own.headers, Cookie: `m_session_id=${token}` } };
}

/** The site's own refusals come as JSON; what the servers behind it say has its usual meaning. */
function explain(subject: Subject, status: number, headers: Headers): DownloadError | undefined {
  const { repo, revision, host, path } = subject;
  const code = REFUSALS[status];
  if (!code || !/^application\/json\b/i.test(headers.get("content-type") ?? "")) return undefined;
  const what = `${path ? `"${path}"` : "a file"} of ${repo} at revision ${revision}`;
  const message = `${host} does not give out ${what}: it is not there any more, or the token may not read it.`;
  return new DownloadError(code, message, { status });
}

const REFUSALS: Record<number, ErrorCode> = {
  401: "auth_required",
  403: "forbidden",
  404: "entry_not_found",
};
