import type { Tools } from "./attempt.ts";
import { DownloadError } from "./errors.ts";
import type { RemoteListing } from "./ports.ts";

/** A picker does not wait longer for a hub. */
const LISTING_MS = 60_000;

interface Wanted {
  repo: string;
  revision: string | undefined;
  /** For this one question; kept nowhere. */
  token: string | undefined;
}

/** What a provider has in a repository. Throws `unsupported_provider`, and as the provider's listing does. */
export async function listRemote(
  { sources, log }: Pick<Tools, "sources" | "log">,
  provider: string,
  { repo, revision, token }: Wanted,
): Promise<RemoteListing> {
  const source = sources.find(({ name }) => name === provider);
  if (!source?.list)
    throw new DownloadError("unsupported_provider", `Provider '${provider}' has no listing.`, {
      param: "provider",
    });
  const secret = token === undefined ? {} : { token };
  return source.list(repo, revision, { secret, signal: AbortSignal.timeout(LISTING_MS), log });
}
