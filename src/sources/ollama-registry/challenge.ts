import { type RemoteUrl, remoteUrlOf } from "../../core/remote-url.ts";
/** What a registry asks for before it answers (RFC 6750 §3 with the parameters of Docker's token servers). */
export interface Challenge {
  realm: URL;
  service: string | undefined;
  scopes: string[];
}

/** A name is looked at from its beginning only: from each of its letters, a long one would take forever. */
const PARAMETER = /(?<![a-z_])([a-z_]+)\s*=\s*(?:"([^"]*)"|([^\s,]+))/gi;

/**
 * Reads a `WWW-Authenticate: Bearer …`. Undefined when there is none, or when its realm is not the registry itself:
 * what opens one server is shown to no other (protocols/ollama.md §5.3), nor in clear text when that came encrypted.
 */
export function parseChallenge(header: string | null, registry: URL): Challenge | undefined {
  const [, text] = /^\s*bearer\s+(.*)$/is.exec(header ?? "") ?? [];
  if (text === undefined) return undefined;
  const values = new Map<string, string>();
  for (const [, name = "", quoted, plain] of text.matchAll(PARAMETER))
    values.set(name.toLowerCase(), quoted ?? plain ?? "");
  const realm = URL.parse(values.get("realm") ?? "");
  if (realm?.host !== registry.host || (registry.protocol === "https:" && realm.protocol !== "https:"))
    return undefined;
  const scopes = (values.get("scope") ?? "").split(" ").filter((scope) => scope !== "");
  return { realm, service: values.get("service"), scopes };
}

/** Where the token is to be had. */
export function tokenUrl({ realm, service, scopes }: Challenge): RemoteUrl {
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.append("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  return remoteUrlOf(url);
}
