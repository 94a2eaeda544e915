import { createHash } from "node:crypto";

/** Parameter names that say their value opens something. Naming too many costs only that the query is not shown. */
const SECRET_NAME =
  /sig|token|key|secret|passw|pwd|auth|credential|expire|policy|session|jwt|sas|hmac|hash|ticket|code|x-amz-|x-goog-|^(?:se|sp|sv|sr|st|e|s|k|t)$/i;
/** Values that look like a key or a signature whatever they are called. */
const SECRET_VALUE = /^(?:hf_|gh[a-z]_|github_pat_|sk-|xox|eyJ)|^[A-Za-z0-9+/_=.%-]{32,}$/;

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
  // What is left tells two files behind one script apart; hashed, because the query is not to be stored at all.
  const rest = createHash("sha256").update(JSON.stringify(open)).digest("hex").slice(0, 16);
  return { shown: bare, key: `url:${bare}#${rest}`, secret: whole };
}
