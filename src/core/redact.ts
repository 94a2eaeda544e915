/**
 * The part of a URL that may be shown, logged and stored: origin and path. Userinfo, query (signatures live there)
 * and fragment are gone; of a URL without a host only the scheme stays, of text that is no URL nothing does (F194).
 */
export function publicUrl(url: string): string {
  const parsed = URL.parse(url);
  if (parsed === null) return "(not a URL)";
  if (parsed.host === "") return `${parsed.protocol}…`;
  return `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
}

/** Text as it was typed; where it is meant as a URL, valid or not, without userinfo, query and fragment (F193). */
export function withoutSecrets(text: string): string {
  const [, scheme, rest = ""] = /^\s*([a-z][a-z0-9+.-]*:\/\/)(.*)$/is.exec(text) ?? [];
  if (scheme === undefined) return text;
  return scheme + rest.replace(/[?#].*$/s, "").replace(/^[^/]*@/, "");
}
