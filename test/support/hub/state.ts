import type { Cdn } from "./cdn.ts";
import type { RateLimits } from "./rate.ts";
import type { Repo, RepoType } from "./repo.ts";
import type { User } from "./users.ts";

/** May be changed while the hub runs. */
export interface HubSettings {
  /** Entries per page of a listing. */
  pageSize: number;
  /** Whether large files announce Xet (`xetHash`, `X-Xet-Hash`, `Link`), as on the real Hub. */
  xet: boolean;
}

/** What the routes share. */
export interface HubState {
  readonly settings: HubSettings;
  readonly users: User[];
  readonly rates: RateLimits;
  readonly cdn: Cdn;
  /** `http://127.0.0.1:port`. */
  endpoint(): string;
  repos(): Repo[];
  /** Whatever the case of the letters. */
  find(type: RepoType, id: string): Repo | undefined;
}
