import { gitSha1Of } from "../bytes.ts";
import { Entry, type FileSpec } from "../hub/entry.ts";
import type { RepoSpec } from "../hub/repo.ts";

/** A file of a commit, and the commit that last changed it. */
export interface Versioned {
  readonly entry: Entry;
  readonly changedAt: string;
}

export interface SiteCommit {
  readonly id: string;
  readonly files: ReadonlyMap<string, Versioned>;
}

export const MASTER = "master";

/** A model with its history. Specs are those of the hub; gated and private ones look alike to strangers. */
export class SiteRepo {
  readonly id: string;
  readonly branches = new Map<string, string>();
  readonly tags = new Map<string, string>();
  private readonly commits = new Map<string, SiteCommit>();

  constructor(readonly spec: RepoSpec) {
    this.id = spec.id;
    this.commit(spec.files, { replace: true });
  }

  get owner(): string {
    return this.id.split("/")[0] ?? "";
  }

  get name(): string {
    return this.id.split("/")[1] ?? "";
  }

  /** Adds a commit with these files in place of (`replace`) or over those of the branch, and moves the branch to it. */
  commit(files: readonly FileSpec[], { branch = MASTER, replace = false } = {}): string {
    const parent = this.commits.get(this.branches.get(branch) ?? "");
    const id = gitSha1Of(`${this.id} commit ${this.commits.size}`);
    const kept = replace ? [] : [...(parent?.files ?? [])];
    const added = files.map((spec): [string, Versioned] => [
      spec.path,
      { entry: new Entry(spec), changedAt: id },
    ]);
    this.commits.set(id, { id, files: new Map([...kept, ...added]) });
    this.branches.set(branch, id);
    return id;
  }

  /** The commit that a branch, tag or full commit id stands for; nothing else is one, short ids included. */
  resolve(revision: string): SiteCommit | undefined {
    return this.commits.get(this.branches.get(revision) ?? this.tags.get(revision) ?? revision);
  }

  /** The last commit that changed something below a folder. */
  lastChange({ files }: SiteCommit, folder: string): string {
    const below = [...files].filter(([path]) => path.startsWith(`${folder}/`));
    const changes = new Set(below.map(([, { changedAt }]) => changedAt));
    return [...this.commits.keys()].findLast((id) => changes.has(id)) ?? "";
  }

  /** A file of a revision. Throws when there is none. */
  file(path: string, revision = MASTER): Entry {
    const found = this.resolve(revision)?.files.get(path);
    if (!found) throw new Error(`${this.id} has no ${path} at ${revision}`);
    return found.entry;
  }
}
