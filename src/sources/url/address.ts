import { createHash } from "node:crypto";

/** Parameter names that say their value opens something. Naming too many costs only that the query is not shown. */
const SECRET_NAME =
  /sig|token|key|secret|passw|pwd|auth|credential|expire|policy|session|jwt|sas|hmac|hash|ticket|code|x-amz-|x-goog-|^(?:se|sp|sv|sr|st|e|s|k|t)$/i;
/**
 * Of these, names of what is given anew each time a link is signed, and of logins: the same file under another one of
 * them is the same file. All others may say which file is meant (`key=models/a.gguf`).
 */
const CREDENTIAL_NAME =
  /sig|token|secret|passw|pwd|auth|credential|expire|policy|session|jwt|sas|hmac|ticket|x-amz-|x-goog-|(?:api|access|key)[-_]?(?:key|pair|id)|^(?:se|sp|sv|sr|st|e|s|t)$/i;
/** Values that look like a key or a signature whatever they are called. */
const SECRET_VALUE = /^(?:hf_|gh[a-z]_|github_pat_|sk-|xox|eyJ)|^[A-Za-z0-9+/_=.%-]{32,}$/;
/** Those that can be nothing else. */
const KNOWN_TOKEN = /^(?:hf_|gh[a-z]_|github_pat_|sk-|xox|eyJ)/;

/** One plain URL in its three uses. */
export interface Address {
  /** To be shown and stored: without fragment, and without query when anything in it looks like a credential (F194). */
  shown: string;
  /** Equal for equal things asked for; no part of a credential. */
  key: string;
  /** The whole URL, when `shown` is not enough to ask for it. */
  secret: string | undefined;
}

export function readAddress(url: URL): Address {
  const bare = `${url.origin}${url.pathname}`;
  const whole = `${bare}${url.search}`;
  const parameters = [...url.searchParams];
  const open = parameters.filter(([name, value]) => !SECRET_NAME.test(name) && !SECRET_VALUE.test(value));
  // A query without names (`?abc`) or with none that we can read is judged as a whole.
  if (open.length === parameters.length) return { shown: whole, key: `url:${whole}`, secret: undefined };
  // What is left tells two files behind one script apart; hashed, because the query is not to be stored at all. An id of
  // a file may look like a key: taken for one, a second file would be handed the download of the first.
  const named = parameters.filter(([name, value]) => !CREDENTIAL_NAME.test(name) && !KNOWN_TOKEN.test(value));
  const rest = createHash("sha256").update(JSON.stringify(named)).digest("hex").slice(0, 16);
  return { shown: bare, key: `url:${bare}#${rest}`, secret: whole };
}
