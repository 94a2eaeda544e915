import { type Digest, parseDigest } from "../../core/download.ts";
import { DownloadError } from "../../core/errors.ts";
import type { Clock, Credentials, Http } from "../../core/ports.ts";
import { parseRemoteUrl } from "../../core/remote-url.ts";
import { isMlxCard } from "../mlx/signs.ts";
import type { Site } from "./address.ts";
import { malformed, noRevision, readSaid, type Subject, siteError } from "./errors.ts";
import { isRepoId } from "./reference.ts";

/** A listing of so many entries has been cut off there, whatever paging was asked for. */
const CUT_OFF_AT = 3_000;
/** Bounds what an endless tree can cost: entries that are looked at, and requests for one listing. */
const MAX_ENTRIES = 200_000;
const MAX_REQUESTS = 2_000;
const MAX_ANSWER_BYTES = 32 << 20;

/** One file as the site lists it; every file has a SHA-256, small ones too. */
export interface SiteEntry {
  path: string;
  size: number | null;
  digest: Digest | null;
  /** The commit that last changed it: there it is what the list says, wherever the branch goes meanwhile. */
  changedAt: string | null;
}

export interface SiteInfo {
  /** In the site's own spelling. */
  id: string;
  gated: boolean;
  mlx: boolean;
}

export interface Tree {
  /** The commit listed, where the answer tells it. */
  commit: string | null;
  entries: SiteEntry[];
}

/** Who asks, where, and about what. */
export interface Call {
  site: Site;
  subject: Subject;
  credentials: Credentials | undefined;
  signal: AbortSignal;
}

interface Page {
  entries: SiteEntry[];
  folders: string[];
  commit: string | null;
  /** All that was listed, whatever it was. */
  count: number;
}

const COMMIT = /^[0-9a-f]{40}$/;

/** The JSON routes below `/api/v1/models` (protocols/others.md §1). */
export class SiteClient {
  constructor(
    private readonly http: Http,
    private readonly clock: Clock,
  ) {}

  /** What the site says of a model: one request. Throws `not_found`, `auth_required`, `forbidden`. */
  async info(call: Call): Promise<SiteInfo> {
    const { repo } = call.subject;
    const data = asRecord(await this.#data(call, "")) ?? {};
    const id = `${data.Path}/${data.Name}`;
    const isSame = isRepoId(id) && id.toLowerCase() === repo.toLowerCase();
    const words = [data.Libraries, data.Tags].flat();
    return { id: isSame ? id : repo, gated: data.ProtectedMode === 1, mlx: isMlxCard(repo, null, words) };
  }

  /**
   * All files of the call's revision: one request, or one and two for each folder whose listing was cut off. When only
   * the files `wanted` are of interest, a cut-off listing is gone on with in their folders only. Throws
   * `revision_not_found`, `too_large`.
   */
  async tree(call: Call, wanted?: readonly string[]): Promise<Tree> {
    const { subject } = call;
    const tree: Tree = { commit: COMMIT.test(subject.revision) ? subject.revision : null, entries: [] };
    let requests = 0;
    const list = async (root: string, recursive: boolean): Promise<Page> => {
      if (++requests > MAX_REQUESTS) throw malformed(subject);
      const page = await this.#files(call, { revision: tree.commit ?? subject.revision, root, recursive });
      // Of a folder it may be the last commit that touched it.
      if (root === "") tree.commit ??= page.commit;
      return page;
    };
    const first = await list("", true);
    if (first.count < CUT_OFF_AT) tree.entries = first.entries;
    else if (wanted) tree.entries = await listNamed(first, wanted, list, subject);
    else tree.entries = await listFolders(list, subject);
    if (first.count === 0) await this.#checkRevision(call);
    return tree;
  }

  async #files(
    call: Call,
    { revision, root, recursive }: { revision: string; root: string; recursive: boolean },
  ): Promise<Page> {
    const query = new URLSearchParams({ Revision: revision, Recursive: recursive ? "True" : "False" });
    if (root !== "") query.set("Root", root);
    const data = await this.#data(call, `/repo/files?${query}`);
    const files = Array.isArray(data) ? data : (asRecord(data)?.Files ?? []);
    if (!Array.isArray(files)) throw malformed(call.subject);
    const items = files.map((item) => asRecord(item) ?? {});
    const pathOf = ({ Path }: Record<string, unknown>): string => {
      if (typeof Path !== "string") throw malformed(call.subject);
      return Path;
    };
    return {
      entries: items.filter(({ Type }) => Type === "blob").map((item) => toEntry(item, pathOf(item), call)),
      folders: items.filter(({ Type }) => Type === "tree").map(pathOf),
      commit: commitOf(data, items),
      count: items.length,
    };
  }

  /** A revision that does not exist may also be answered with an empty list. */
  async #checkRevision(call: Call): Promise<void> {
    const map = asRecord(asRecord(await this.#data(call, "/revisions"))?.RevisionMap);
    const refs = [map?.Branches, map?.Tags].flat().map((ref) => asRecord(ref)?.Revision);
    if (!refs.includes(call.subject.revision)) throw noRevision(call.subject);
  }

  /** `Data` of an answer that says of itself that it is one. */
  async #data(call: Call, rest: string): Promise<unknown> {
    const { site, subject, credentials, signal } = call;
    const response = await this.http.request({
      url: parseRemoteUrl(`${site.base}/api/v1/models/${subject.repo}${rest}`),
      headers: { Accept: "application/json" },
      ...(credentials ? { credentials } : {}),
      signal,
      operator: site.own,
    });
    const { status, headers } = response;
    const text = await response.text(MAX_ANSWER_BYTES);
    const envelope = asRecord(parse(text));
    if (envelope === undefined && status === 200) throw malformed(subject);
    if (status !== 200 || envelope?.Success === false || !isSuccess(envelope?.Code))
      throw siteError(subject, status, headers, readSaid(envelope ?? {}), this.clock.now());
    return envelope?.Data;
  }
}

const isSuccess = (code: unknown): boolean => code === undefined || Number(code) === 200;

const isBelow = (path: string, root: string): boolean => root === "" || path.startsWith(`${root}/`);

type List = (root: string, recursive: boolean) => Promise<Page>;

/** The top, and below it each folder as a whole, in its turn taken apart where that is cut off too. */
async function listFolders(list: List, subject: Subject): Promise<SiteEntry[]> {
  const entries: SiteEntry[] = [];
  const open = [""];
  for (let root = open.shift(); root !== undefined; root = open.shift()) {
    // The top has been found to be too long already.
    const whole = root === "" ? undefined : await list(root, true);
    const page = whole !== undefined && whole.count < CUT_OFF_AT ? whole : await list(root, false);
    if (page.count >= CUT_OFF_AT) throw tooLarge(subject, root);
    entries.push(...page.entries);
    if (page !== whole) open.push(...page.folders.filter((path) => isBelow(path, root)));
    if (entries.length > MAX_ENTRIES)
      throw new DownloadError("too_large", `${subject.repo} has more than ${MAX_ENTRIES} files.`);
  }
  return entries;
}

const folderOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")));

const isIn = (entries: readonly SiteEntry[], path: string): boolean =>
  entries.some((entry) => entry.path === path);

/** What the beginning of a listing does not show is looked for in its own folder. */
async function listNamed(
  { entries }: Page,
  wanted: readonly string[],
  list: List,
  subject: Subject,
): Promise<SiteEntry[]> {
  const found = [...entries];
  const missing = wanted.filter((path) => !isIn(entries, path));
  for (const root of new Set(missing.map(folderOf))) {
    const page = await list(root, false).catch((error: unknown) => {
      // The revision is known to exist: what does not is the folder.
      if (error instanceof DownloadError && error.code === "revision_not_found") return undefined;
      throw error;
    });
    if (page === undefined) continue;
    const unlisted = missing.some((path) => folderOf(path) === root && !isIn(page.entries, path));
    if (page.count >= CUT_OFF_AT && unlisted) throw tooLarge(subject, root);
    found.push(...page.entries);
  }
  return found;
}

function tooLarge({ repo, host }: Subject, root: string): DownloadError {
  const where = root === "" ? "at its top" : `in the folder ${root}`;
  return new DownloadError(
    "too_large",
    `${repo} has ${CUT_OFF_AT} or more entries ${where}; ${host} does not list so many, and what it does not list cannot be verified.`,
  );
}

/**
 * The commit that was listed: told in full, or by its first digits, which then are those of some file's last change.
 */
function commitOf(data: unknown, items: readonly Record<string, unknown>[]): string | null {
  const { Id, ShortId } = asRecord(asRecord(data)?.LatestCommitter) ?? {};
  if (typeof Id === "string" && COMMIT.test(Id)) return Id;
  if (typeof ShortId !== "string" || !/^[0-9a-f]{7,39}$/.test(ShortId)) return null;
  const found = items.find(({ Revision }) => typeof Revision === "string" && Revision.startsWith(ShortId));
  return typeof found?.Revision === "string" && COMMIT.test(found.Revision) ? found.Revision : null;
}

function toEntry(item: Record<string, unknown>, path: string, { subject }: Call): SiteEntry {
  const { Size, Sha256, Revision } = item;
  const size = Size ?? null;
  if (size !== null && !(typeof size === "number" && Number.isSafeInteger(size) && size >= 0))
    throw malformed(subject);
  const digest = typeof Sha256 === "string" ? parseDigest("sha256", Sha256) : undefined;
  const changedAt = typeof Revision === "string" && COMMIT.test(Revision) ? Revision : null;
  return { path, size, digest: digest ?? null, changedAt };
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
