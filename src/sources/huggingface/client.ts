import { listFiles, modelInfo, pathsInfo } from "@huggingface/hub";
import { type Digest, parseDigest } from "../../core/download.ts";
import { DownloadError, toDownloadError } from "../../core/errors.ts";
import type { Clock, Credentials, Http } from "../../core/ports.ts";
import { hubError, type Subject } from "./errors.ts";

/** The most entries of one repository that are looked at: bounds what an endless listing can cost. */
const MAX_ENTRIES = 200_000;

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
export interface HubClient {
  /** Canonical name and commit of a revision: one request. */
  info(call: Call): Promise<HubInfo>;
  /** Entries for exactly these paths: one request. Unknown ones are missing in the answer. */
  paths(call: Call, commit: string, paths: string[]): Promise<HubEntry[]>;
  /** All files at a commit: one request for each 1000. */
  tree(call: Call, commit: string): Promise<HubEntry[]>;
  /** Throws what keeps this caller from the content of a gated repository; returns when nothing does. */
  checkAccess(call: Call): Promise<void>;
}

export function createHubClient(http: Http, endpoint: string, clock: Clock): HubClient {
  const { origin } = new URL(endpoint);

  /** `fetch` as the library wants it, over the hardened client. Its own token handling is not used: ours is bound to the origin. */
  const fetcher = (call: Call) => {
    const ask = async (url: string, init?: { method?: string; body?: string }): Promise<Response> => {
      const response = await http.request({
        url,
        method: init?.method === "POST" ? "POST" : "GET",
        headers: {
          Accept: "application/json",
          ...(init?.body ? { "Content-Type": "application/json" } : {}),
        },
        ...(call.credentials ? { credentials: call.credentials } : {}),
        ...(init?.body ? { body: init.body } : {}),
        signal: call.signal,
        operator: new URL(url).origin === origin,
      });
      const { status, headers } = response;
      const text = await response.text();
      if (status !== 200) throw hubError(call.subject, status, headers, text, clock.now());
      return new Response(text, {
        status,
        headers: { "Content-Type": "application/json", Link: headers.get("link") ?? "" },
      });
    };
    // The library only ever calls it with a URL text and these two options.
    return ask as unknown as typeof globalThis.fetch;
  };

  return {
    info: (call) =>
      reading(call, async () => {
        const { repo, revision } = call.subject;
        const answer = await modelInfo({
          name: repo,
          revision,
          hubUrl: endpoint,
          additionalFields: ["sha", "disabled"],
          fetch: fetcher(call),
        });
        if (answer.disabled)
          throw new DownloadError("disabled", `${call.subject.host} has disabled access to ${repo}.`);
        const known = typeof answer.name === "string" && /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(answer.sha);
        if (!known) throw malformed(call.subject);
        return { id: answer.name, commit: answer.sha, gated: Boolean(answer.gated) };
      }),
    paths: (call, revision, paths) =>
      reading(call, async () => {
        const repo = { type: "model", name: call.subject.repo } as const;
        const found = await pathsInfo({ repo, revision, paths, hubUrl: endpoint, fetch: fetcher(call) });
        return found.filter((item) => item.type === "file").map((item) => toEntry(item, call.subject));
      }),
    tree: (call, revision) =>
      reading(call, async () => {
        const entries: HubEntry[] = [];
        const repo = { type: "model", name: call.subject.repo } as const;
        const listing = listFiles({
          repo,
          revision,
          recursive: true,
          hubUrl: endpoint,
          fetch: fetcher(call),
        });
        for await (const item of listing) {
          if (item.type === "file") entries.push(toEntry(item, call.subject));
          if (entries.length > MAX_ENTRIES)
            throw new DownloadError("too_large", `${call.subject.repo} has more than ${MAX_ENTRIES} files.`);
        }
        return entries;
      }),
    checkAccess: (call) =>
      reading(call, async () => {
        const url = `${endpoint}/api/models/${call.subject.repo}/auth-check`;
        const { credentials, signal } = call;
        const response = await http.request({
          url,
          ...(credentials ? { credentials } : {}),
          signal,
          operator: true,
        });
        const { status, headers } = response;
        const text = await response.text();
        // Mirrors may lack the route; then the transfer itself meets the gate.
        const isAnswer = status !== 200 && (status !== 404 || headers.has("x-error-code"));
        if (isAnswer) throw hubError(call.subject, status, headers, text, clock.now());
      }),
  };
}

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
