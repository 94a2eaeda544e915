import { knownDigest, parseDigest, type SourceRef } from "../core/download.ts";
import { DownloadError } from "../core/errors.ts";
import { parseFileName, type RepoPath } from "../core/paths.ts";
import type {
  Clock,
  FetchRequest,
  Http,
  HttpResponse,
  Manifest,
  ManifestFile,
  Source,
  SourceContext,
  StartRequest,
} from "../core/ports.ts";
import { publicUrl } from "../core/redact.ts";
import { parseRemoteUrl } from "../core/remote-url.ts";
import { strongDate } from "../core/wait.ts";
import { credentialsFor, requestSecret } from "./headers.ts";
import { statusError } from "./status.ts";
import { readAddress } from "./url/address.ts";
import { promisedDigest } from "./url/digests.ts";
import { isFileName, looksBinary, NAMELESS, nameFromDisposition, nameFromUrl } from "./url/name.ts";

export interface UrlOptions {
  http: Http;
  clock: Clock;
}

const NAMES = new Set(["url", "http", "https"]);
const IS_URL = /^https?:\/\//i;

/** Any http or https URL: one file, under the name that the request, the URL or the server gives it. */
export function createUrl({ http, clock }: UrlOptions): Source {
  return {
    name: "url",
    description: "Any http or https URL: one file",
    layouts: ["flat"],

    accepts: ({ provider, url }) =>
      provider === undefined ? url !== undefined : NAMES.has(provider.toLowerCase()),

    parse(request): SourceRef {
      const address = addressOf(request);
      refuseForeignFields(request);
      const url = http.check(address);
      requestSecret(request);
      const { shown, key } = readAddress(url);
      const filename =
        request.filename === undefined ? undefined : parseFileName(request.filename, "filename");
      const digest = request.sha256 === undefined ? undefined : parseDigest("sha256", request.sha256);
      if (request.sha256 !== undefined && !digest)
        throw new DownloadError("invalid_request", "sha256 must be 64 hexadecimal digits.", {
          param: "sha256",
        });
      return {
        provider: "url",
        key: [key, filename, digest?.hex].filter((part) => part !== undefined).join(" "),
        url: shown,
        filename: filename ?? nameFromUrl(url) ?? NAMELESS,
        // Marks a name that was asked for: it is kept whatever the server proposes.
        ...(filename === undefined ? {} : { files: [filename] }),
        ...(digest ? { digest } : {}),
      };
    },

    secretOf(request) {
      const { secret } = readAddress(http.check(addressOf(request)));
      return { ...requestSecret(request), ...(secret === undefined ? {} : { url: secret }) };
    },

    defaultModelId: (ref) => ref.filename ?? NAMELESS,

    async resolve(ref, context): Promise<Manifest> {
      const asked = requestFor(ref, context);
      const response = await probe(http, asked, context.signal);
      await response.cancel();
      const { status, headers } = response;
      if (status !== 200 && status !== 206 && status !== 416)
        throw statusError(status, headers, publicUrl(ref.url), clock.now());
      const path = chooseName(ref, headers);
      const warning = refusePage(path, ref, headers);
      const digest = ref.digest ? knownDigest(ref.digest) : promisedDigest(response);
      const files = [{ path, size: sizeOf(response), digest, locator: "", ...markOf(headers) }];
      return { files, ...(warning === undefined ? {} : { warnings: [warning] }) };
    },

    locate: async (ref, _file, context) => requestFor(ref, context),
  };
}

/** What tells a file that was fetched before from a new one, where the server shows it. */
function markOf(headers: Headers): Pick<ManifestFile, "etag" | "lastModified"> {
  const etag = headers.get("etag") ?? "";
  if (/^"[^"]+"$/.test(etag)) return { etag };
  const lastModified = strongDate(headers);
  return lastModified === null ? {} : { lastModified };
}

/** Who names this provider may give the URL as `model`, too. */
function addressOf({ provider, url, model, repoId }: StartRequest): string {
  if (url !== undefined) return url;
  if (model !== undefined && IS_URL.test(model)) return model;
  const param = model !== undefined ? "model" : repoId !== undefined ? "repo_id" : "url";
  throw new DownloadError(
    "invalid_url",
    `Provider '${provider}' downloads one file from its address: give a complete URL, such as https://host/path/model.gguf.`,
    { param },
  );
}

function refuseForeignFields(request: StartRequest): void {
  const { repoId, revision, baseUrl } = request;
  const model = request.url === undefined ? undefined : request.model;
  const fields = { repo_id: repoId, model, revision, base_url: baseUrl };
  const lists = { include: request.include, exclude: request.exclude };
  const given = [
    ...Object.entries(fields).filter(([, value]) => value !== undefined),
    ...Object.entries(lists).filter(([, value]) => value !== undefined && value.length > 0),
  ];
  const first = given[0]?.[0];
  if (first === undefined) return;
  throw new DownloadError(
    "invalid_request",
    `${first} does not go with a plain URL, which names one file; leave it out.`,
    {
      param: first,
    },
  );
}

/** The URL with what opens it: credentials for its own origin only, the signed query from where it is kept apart. */
function requestFor(ref: SourceRef, { secret }: SourceContext): FetchRequest {
  const url = parseRemoteUrl(secret.url ?? ref.url);
  const credentials = credentialsFor(new URL(url).origin, secret);
  return { url, ...(credentials ? { credentials } : {}) };
}

/**
 * One GET of the first byte: HEAD is refused by many servers, and signed links are signed for GET (F19, F21). A server
 * that refuses the range without saying how long the file is gets a plain GET.
 */
async function probe(http: Http, asked: FetchRequest, signal: AbortSignal): Promise<HttpResponse> {
  const wish = { "Accept-Encoding": "identity", "Want-Repr-Digest": "sha-256=10, sha-512=5" };
  const ranged = await http.request({ ...asked, headers: { ...wish, Range: "bytes=0-0" }, signal });
  if (ranged.status !== 416 || sizeOf(ranged) !== null) return ranged;
  await ranged.cancel();
  return http.request({ ...asked, headers: wish, signal });
}

/** Size of the file: from Content-Range on 206 and 416, from Content-Length of a whole, unencoded answer; else null. */
function sizeOf({ status, headers }: HttpResponse): number | null {
  if (status === 206 || status === 416) {
    const total = /^bytes\s+(?:\d+-\d+|\*)\/(\d{1,15})$/i.exec(
      headers.get("content-range")?.trim() ?? "",
    )?.[1];
    return total === undefined ? null : Number(total);
  }
  const encoding = headers.get("content-encoding")?.toLowerCase() ?? "identity";
  // With both, the length is not the one of the content (RFC 9112 §6.3, F17).
  if (encoding !== "identity" || headers.has("transfer-encoding")) return null;
  const length = headers.get("content-length")?.trim() ?? "";
  return /^\d{1,15}$/.test(length) ? Number(length) : null;
}

/** The request's name, else the URL's when it is one of a file, else the server's proposal, else what there is (F197). */
function chooseName(ref: SourceRef, headers: Headers): RepoPath {
  const own = parseFileName(ref.filename ?? NAMELESS);
  if (ref.files || isFileName(own)) return own;
  return nameFromDisposition(headers.get("content-disposition")) ?? own;
}

/** A web page instead of a model is an error or a login (F54); where the name does not tell, only a warning. */
function refusePage(name: string, ref: SourceRef, headers: Headers): string | undefined {
  if (!/^\s*(?:text\/html|application\/xhtml\+xml)\b/i.test(headers.get("content-type") ?? ""))
    return undefined;
  const { host } = new URL(ref.url);
  if (looksBinary(name))
    throw new DownloadError(
      "unexpected_content",
      `${host} answered with a web page instead of ${name}: the link may need a login, or lead to a page about the file.`,
    );
  return isFileName(name) ? undefined : `${host} says that ${name} is a web page`;
}
