import { listFiles, modelInfo, pathsInfo } from "@huggingface/hub";
import { type Digest, parseDigest } from "../../core/download.ts";
import { DownloadError, toDownloadError } from "../../core/errors.ts";
import type { Clock, Credentials, Http } from "../../core/ports.ts";
import { parseRemoteUrl } from "../../core/remote-url.ts";
import { isMlxCard } from "../mlx/signs.ts";
import { hubError, type Subject } from "./errors.ts";
import { isRepoId } from "./reference.ts";

/** The most entries of one repository that are looked at: bounds what an endless listing can cost. */
const MAX_ENTRIES = 200_000;
/** Requests for one listing. */
const MAX_PAGES = 2_000;
const COMMIT = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** One file of a repository as the hub tells it; `masked` when its digest is withheld (§3.2). */
export interface HubEntry {
  path: string;
  size: number;
  digest: Digest | null;
  masked: boolean;
}

export interface HubInfo {
  /** In the hub's own spelling. */
  id: string;
  commit: string;
  gated: boolean;
  /** The card's library or tags, or the organisation, say that it is made for MLX (protocols/others.md §5). */
  mlx: boolean;
}

/** Who asks, and about what. */
export interface Call {
  subject: Subject;
  credentials: Credentials | undefined;
  signal: AbortSignal;
}

/**
 * The hub's JSON routes. `@huggingface/hub` knows their shapes and the paging; every request of it goes through our
 * client by the injected function, which also reads errors, because the library drops the X-Error-Code header.
 */
export class HubClient {
  readonly #http: Http;
  readonly #endpoint: string;
  readonly #clock: Clock;

  /** `endpoint` has no slash at its end. */
  constructor(http: Http, endpoint: string, clock: Clock) {
    this.#http = http;
    this.#endpoint = endpoint;
    this.#clock = clock;
  }

  /** Canonical name and commit of a revision: one request. */
  info(call: Call): Promise<HubInfo> {
    return reading(call, async () => {
      const { repo, revision, host } = call.subject;
      const additionalFields: ["sha", "disabled", "library_name", "tags"] = [
        "sha",
        "disabled",
        "library_name",
        "tags",
      ];
      const answer = await modelInfo({ name: repo, revision, additionalFields, ...this.#way(call) });
      if (answer.disabled) throw new DownloadError("disabled", `${host} has disabled access to ${repo}.`);
      if (!isRepoId(answer.name) || !COMMIT.test(answer.sha)) throw malformed(call.subject);
      if (COMMIT.test(revision) && answer.sha !== revision)
        throw new DownloadError(
          "protocol",
          `${host} was asked for commit ${revision} of ${repo} and answered with ${answer.sha}: check the endpoint, it may be a mirror that is out of date.`,
        );
      const { name: id, sha: commit, gated, library_name, tags } = answer;
      return { id, commit, gated: Boolean(gated), mlx: isMlxCard(id, library_name, tags) };
    });
  }

  /** Entries for exactly these paths: one request. Unknown ones are missing in the answer. */
  paths(call: Call, revision: string, paths: string[]): Promise<HubEntry[]> {
    return reading(call, async () => {
      const found = await pathsInfo({ repo: model(call), revision, paths, ...this.#way(call) });
      return found.filter((item) => item.type === "file").map((item) => toEntry(item, call.subject));
    });
  }

  /** All files at a commit: one request for each 1000. */
  tree(call: Call, revision: string): Promise<HubEntry[]> {
    return reading(call, async () => {
      const entries: HubEntry[] = [];
      const listing = listFiles({ repo: model(call), revision, recursive: true, ...this.#way(call) });
      for await (const item of listing) {
        if (item.type === "file") entries.push(toEntry(item, call.subject));
        if (entries.length > MAX_ENTRIES)
          throw new DownloadError("too_large", `${call.subject.repo} has more than ${MAX_ENTRIES} files.`);
      }
      return entries;
    });
  }

  /** Throws what keeps this caller from the content of a gated repository; returns when nothing does. */
  checkAccess(call: Call): Promise<void> {
    return reading(call, async () => {
      const url = `${this.#endpoint}/api/models/${call.subject.repo}/auth-check`;
      const { status, headers, text } = await this.#ask(call, url);
      // Mirrors may lack the route; then the transfer itself meets the gate.
      const isAnswer = status !== 200 && (status !== 404 || headers.has("x-error-code"));
      if (isAnswer) throw hubError(call.subject, status, headers, text, this.#clock.now());
    });
  }

  /** Where the library asks, and how: its own token handling is not used, ours is bound to the origin. */
  #way(call: Call): { hubUrl: string; fetch: typeof globalThis.fetch } {
    let pages = 0;
    const ask = async (url: string, init?: { method?: string; body?: string }): Promise<Response> => {
      // A listing may name itself as its next page.
      if (++pages > MAX_PAGES) throw malformed(call.subject);
      const { status, headers, text } = await this.#ask(call, url, init?.body);
      if (status !== 200) throw hubError(call.subject, status, headers, text, this.#clock.now());
      const link = headers.get("link") ?? "";
      return new Response(text, { status, headers: { "Content-Type": "application/json", Link: link } });
    };
    // The library only ever calls it with a URL text and these two options.
    return { hubUrl: this.#endpoint, fetch: ask as unknown as typeof globalThis.fetch };
  }

  async #ask({ credentials, signal }: Call, url: string, body?: string) {
    const response = await this.#http.request({
      url: parseRemoteUrl(url),
      method: body === undefined ? "GET" : "POST",
      headers: {
        Accept: "application/json",
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      ...(credentials ? { credentials } : {}),
      ...(body === undefined ? {} : { body }),
      signal,
      operator: new URL(url).origin === new URL(this.#endpoint).origin,
    });
    const { status, headers } = response;
    return { status, headers, text: await response.text() };
  }
}

const model = ({ subject }: Call) => ({ type: "model", name: subject.repo }) as const;

/** Errors that are not ours come from an answer without the expected shape; the signal's reason passes unchanged. */
async function reading<T>(call: Call, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    call.signal.throwIfAborted();
    const known = toDownloadError(error);
    throw known.code === "internal" ? malformed(call.subject, error) : known;
  }
}

function malformed({ host, repo }: Subject, cause?: unknown): DownloadError {
  return new DownloadError(
    "protocol",
    `${host} answered the question about ${repo} with something that is no answer of a hub: check the endpoint.`,
    { cause },
  );
}

/** Size and digest of an entry: sha256 of the content for LFS files, git blob SHA-1 for the others (§3.2, §4.6). */
function toEntry(
  item: { path: string; size: number; oid?: string; lfs?: { oid: string; size: number } },
  subject: Subject,
): HubEntry {
  const { path, size, lfs } = item;
  const bytes = lfs ? lfs.size : size;
  if (typeof path !== "string" || !Number.isSafeInteger(bytes) || bytes < 0) throw malformed(subject);
  const text = lfs ? lfs.oid : item.oid;
  const masked = typeof text === "string" && /^\*+$/.test(text);
  const digest = typeof text === "string" ? parseDigest(lfs ? "sha256" : "git-sha1", text) : undefined;
  return { path, size: bytes, digest: digest ?? null, masked };
}
