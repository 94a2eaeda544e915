import { gitSha1Of, literal, sha256 } from "../bytes.ts";
import { Entry, type FileSpec } from "./entry.ts";

export type RepoType = "model" | "dataset" | "space";

export interface RepoSpec {
  /** `acme/tiny-gguf`, or one word for the few old ones. */
  id: string;
  type?: RepoType;
  /** The first commit, on branch `main`. */
  files: readonly FileSpec[];
  /** Content only for users with access. */
  gated?: false | "auto" | "manual";
  /** Nobody but its owner and users with access learns that it exists. */
  private?: boolean;
  disabled?: boolean;
  /** Answers redirects to the repository of that id and has nothing else. */
  renamedTo?: string;
  /** More of the model info: `pipeline_tag`, `library_name`, `tags`, `cardData`, `gguf`, `downloads`, `likes`. */
  info?: Readonly<Record<string, unknown>>;
}

export interface Commit {
  readonly id: string;
  readonly title: string;
  readonly date: string;
  readonly files: ReadonlyMap<string, Entry>;
}

const CREATED = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;

/** A repository with its history. Branches can be moved while clients download (F76). */
export class Repo {
  readonly id: string;
  readonly type: RepoType;
  /** 24 hex digits, as the Hub's database has them. */
  readonly objectId: string;
  readonly branches = new Map<string, string>();
  readonly tags = new Map<string, string>();
  readonly pullRequests = new Map<number, string>();
  private readonly commits = new Map<string, Commit>();

  constructor(readonly spec: RepoSpec) {
    this.id = spec.id;
    this.type = spec.type ?? "model";
    this.objectId = sha256(literal(`${this.type} ${spec.id}`)).slice(0, 24);
    this.commit(spec.files, { replace: true, title: "initial commit" });
  }

  /** The part before the slash. */
  get author(): string {
    return this.id.includes("/") ? this.id.slice(0, this.id.indexOf("/")) : "";
  }

  /**
   * Adds a commit with these files in place of (`replace`) or over those of the branch, and moves the branch to it;
   * with `branch: null` no ref moves. Returns the id.
   */
  commit(
    files: readonly FileSpec[],
    {
      branch = "main",
      replace = false,
      title = "update",
    }: { branch?: string | null; replace?: boolean; title?: string } = {},
  ): string {
    const parent = branch === null ? undefined : this.commits.get(this.branches.get(branch) ?? "");
    const kept = replace ? [] : [...(parent?.files ?? [])];
    const added = files.map((spec): [string, Entry] => [spec.path, new Entry(spec)]);
    const number = this.commits.size;
    const id = gitSha1Of(`${this.type} ${this.id} commit ${number}`);
    const date = new Date(CREATED + number * DAY_MS).toISOString();
    this.commits.set(id, { id, title, date, files: new Map([...kept, ...added]) });
    if (branch !== null) this.branches.set(branch, id);
    return id;
  }

  get createdAt(): string {
    return new Date(CREATED).toISOString();
  }

  /** The commit that a branch, tag, `refs/…` name, full or shortened commit id stands for. */
  resolve(revision: string): Commit | undefined {
    const pull = /^refs\/pr\/(\d+)$/.exec(revision);
    const branch = revision === "HEAD" ? "main" : revision.replace(/^refs\/heads\//, "");
    const id =
      this.branches.get(branch) ??
      this.tags.get(revision.replace(/^refs\/tags\//, "")) ??
      (pull ? this.pullRequests.get(Number(pull[1])) : undefined) ??
      (/^[0-9a-f]{7,40}$/.test(revision)
        ? [...this.commits.keys()].find((it) => it.startsWith(revision))
        : undefined);
    return id === undefined ? undefined : this.commits.get(id);
  }

  /** A file of a revision. Throws when there is none: for tests, which know what they have declared. */
  file(path: string, revision = "main"): Entry {
    const entry = this.resolve(revision)?.files.get(path);
    if (!entry) throw new Error(`${this.id} has no ${path} at ${revision}`);
    return entry;
  }
}
