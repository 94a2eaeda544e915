import { Cdn } from "./hub/cdn.ts";
import { GENEROUS_QUOTAS, type Quotas, type RateBucket, RateLimits } from "./hub/rate.ts";
import { Repo, type RepoSpec, type RepoType } from "./hub/repo.ts";
import { answer } from "./hub/routes.ts";
import type { HubSettings, HubState } from "./hub/state.ts";
import { tokenFor, type User } from "./hub/users.ts";
import { type Limits, type Origin, type OriginOptions, startOrigin } from "./origin.ts";

export * from "./hub/catalog.ts";
export type { Entry, FileSpec } from "./hub/entry.ts";
export { ANONYMOUS_QUOTAS } from "./hub/rate.ts";
export type { Commit, Repo, RepoSpec } from "./hub/repo.ts";
export { encodePath } from "./hub/route.ts";
export { type Access, tokenFor, type User } from "./hub/users.ts";

export interface HubOptions extends Partial<HubSettings> {
  repos?: readonly RepoSpec[];
  users?: readonly User[];
  /** Default: more than any test uses up. `ANONYMOUS_QUOTAS` has the real ones. */
  quotas?: Quotas;
  /** How long a link to the CDN is good for. Default one hour. */
  linkTtlMs?: number;
  /** Address of the hub, default 127.0.0.1, and of the CDN, default `localhost`: they must differ in name. */
  host?: string;
  cdnHost?: string;
  port?: number;
  cdnPort?: number;
  /** Rates of the CDN. */
  cdnLimits?: Limits;
  tls?: OriginOptions["tls"];
}

/** A running hub. `await using` stops it. */
export interface Hub extends AsyncDisposable {
  /** What goes into `HF_ENDPOINT`. */
  readonly endpoint: string;
  /** The two servers, for faults, counters and logs. */
  readonly origin: Origin;
  readonly cdn: Origin;
  readonly settings: HubSettings;
  /** Lifetime of links issued from now on. */
  linkTtlMs: number;
  /** Makes every link issued so far answer 403. */
  expireLinks(): void;
  /** Uses up a budget: 429 with `t` counting down for so many seconds. */
  exhaust(bucket: RateBucket, seconds: number): void;
  /** Adds a repository, or replaces it. */
  add(spec: RepoSpec): Repo;
  /** Throws when there is none. */
  repo(id: string, type?: RepoType): Repo;
  /** Adds a user and returns the token. */
  addUser(name: string, user?: Omit<User, "name" | "token">): string;
  /** The path of a large file on the CDN, to be named in `cdn.on({ path })`. */
  cdnPath(repo: string, path: string, revision?: string): string;
  stop(): Promise<void>;
}

/** Starts a hub and its CDN. Resolves when both are listening. */
export async function startHub(options: HubOptions = {}): Promise<Hub> {
  const { host, port, tls, linkTtlMs = 3_600_000, cdnHost = "localhost", cdnPort } = options;
  const cdn = await Cdn.start(linkTtlMs, { host: cdnHost, port: cdnPort, tls, ...options.cdnLimits });
  const repos = new Map<string, Repo>();
  const key = (type: RepoType, id: string): string => `${type} ${id.toLowerCase()}`;
  const state: HubState = {
    settings: { pageSize: options.pageSize ?? 1000, xet: options.xet ?? true },
    users: [...(options.users ?? [])],
    rates: new RateLimits(options.quotas ?? GENEROUS_QUOTAS),
    cdn,
    endpoint: () => origin.base,
    repos: () => [...repos.values()],
    find: (type, id) => repos.get(key(type, id)),
  };
  const origin: Origin = await startOrigin({ host, port, tls, handler: (request) => answer(state, request) });
  const add = (spec: RepoSpec): Repo => {
    const repo = new Repo(spec);
    repos.set(key(repo.type, repo.id), repo);
    return repo;
  };
  for (const spec of options.repos ?? []) add(spec);
  return asHub(state, origin, add);
}

function asHub(state: HubState, origin: Origin, add: (spec: RepoSpec) => Repo): Hub {
  const { cdn } = state;
  const repo = (id: string, type: RepoType = "model"): Repo => {
    const found = state.find(type, id);
    if (!found) throw new Error(`the hub has no ${type} ${id}`);
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
    exhaust: (bucket, seconds) => state.rates.exhaust(bucket, seconds),
    add,
    repo,
    addUser(name, user = {}) {
      const token = tokenFor(name);
      state.users.push({ name, token, ...user });
      return token;
    },
    cdnPath: (id, path, revision) => cdn.pathOf(repo(id), repo(id).file(path, revision)),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
