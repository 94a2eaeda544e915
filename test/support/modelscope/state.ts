import type { User } from "../hub/users.ts";
import type { SiteCdn } from "./cdn.ts";
import type { SiteRepo } from "./repo.ts";

/** May be changed while the site runs. */
export interface SiteSettings {
  /** Entries after which a listing is cut off without a word. */
  listLimit: number;
  /** How a revision that does not exist is answered: an error, or an empty list. */
  unknownRevision: 404 | "empty";
  /** HTTP status beside the error in the body for a file that does not exist. */
  missingFile: 404 | 200;
  /** Whether listings tell the whole commit id, or only its first digits. */
  fullCommit: boolean;
}

/** What the routes share. */
export interface SiteState {
  readonly settings: SiteSettings;
  readonly users: User[];
  readonly cdn: SiteCdn;
  /** Epoch milliseconds until which nobody gets an answer, and how many requests meet trouble before. */
  limits: { closedUntil: number; troubles: number };
  /** Whatever the case of the letters. */
  find(id: string): SiteRepo | undefined;
}
