import type { RepoSpec } from "./hub/repo.ts";
import type { User } from "./hub/users.ts";
import { SiteCdn } from "./modelscope/cdn.ts";
import { SiteRepo } from "./modelscope/repo.ts";
import { answer } from "./modelscope/routes.ts";
import type { SiteSettings, SiteState } from "./modelscope/state.ts";
import { type Origin, startOrigin } from "./origin.ts";

export { CODES } from "./modelscope/reply.ts";
export type { SiteRepo } from "./modelscope/repo.ts";

export interface ModelScopeOptions extends Partial<SiteSettings> {
  /** As for the hub: `gated` and `private` ones are for their owner and for users with access. */
  repos?: readonly RepoSpec[];
  /** How long a link to the CDN is good for. Default one hour. */
  linkTtlMs?: number;
}

/** A running ModelScope. `await using` stops it. */
export interface ModelScope extends AsyncDisposable {
  /** What goes into `MODELSCOPE_ENDPOINT`. */
  readonly endpoint: string;
  /** The two servers, for faults, counters and logs. */
  readonly origin: Origin;
  readonly cdn: Origin;
  readonly settings: SiteSettings;
  linkTtlMs: number;
  /** Makes every link issued so far answer 403. */
  expireLinks(): void;
  /** 429 for everybody for so many seconds. */
  exhaust(seconds: number): void;
  /** The next so many requests meet the trouble that looks like "not found". */
  trouble(requests: number): void;
  /** Adds a model, or replaces it. */
  add(spec: RepoSpec): SiteRepo;
  /** Throws when there is none. */
  repo(id: string): SiteRepo;
  /** Adds a user and returns the token. */
  addUser(name: string, user?: Omit<User, "name" | "token">): string;
  /** The path of a large file on the CDN, to be named in `cdn.on({ path })`. */
  cdnPath(repo: string, path: string, revision?: string): string;
  stop(): Promise<void>;
}

/** Starts a site and its CDN, which differ in host name. Resolves when both are listening. */
export async function startModelScope(options: ModelScopeOptions = {}): Promise<ModelScope> {
  const { repos = [], linkTtlMs = 3_600_000, ...given } = options;
  const cdn = await SiteCdn.start(linkTtlMs, "localhost");
  const models = new Map<string, SiteRepo>();
  const state: SiteState = {
    settings: { listLimit: 3_000, unknownRevision: 404, missingFile: 200, fullCommit: false, ...given },
    users: [],
    cdn,
    limits: { closedUntil: 0, troubles: 0 },
    find: (id) => models.get(id.toLowerCase()),
  };
  const origin = await startOrigin({ handler: (request) => answer(state, request) });
  const add = (spec: RepoSpec): SiteRepo => {
    const repo = new SiteRepo(spec);
    models.set(repo.id.toLowerCase(), repo);
    return repo;
  };
  for (const spec of repos) add(spec);
  return asModelScope(state, origin, add);
}

function asModelScope(state: SiteState, origin: Origin, add: (spec: RepoSpec) => SiteRepo): ModelScope {
  const { cdn } = state;
  const repo = (id: string): SiteRepo => {
    const found = state.find(id);
    if (!found) throw new Error(`the site has no model ${id}`);
    return found;
  };
  const stop = async (): Promise<void> => {
    await Promise.all([origin.stop(), cdn.origin.stop()]);
  };
  return {
    endpoint: origin.base,
    origin,
    cdn: cdn.origin,
    settings: state.settings,
    get linkTtlMs() {
      return cdn.linkTtlMs;
    },
    set linkTtlMs(ms: number) {
      cdn.linkTtlMs = ms;
    },
    expireLinks: () => cdn.expireLinks(),
    exhaust(seconds) {
      state.limits.closedUntil = Date.now() + seconds * 1000;
    },
    trouble(requests) {
      state.limits.troubles = requests;
    },
    add,
    repo,
    addUser(name, user = {}) {
      const token = `ms-${name}-0123456789abcdef`;
      state.users.push({ name, token, ...user });
      return token;
    },
    cdnPath: (id, path, revision) => cdn.pathOf(repo(id).file(path, revision)),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
