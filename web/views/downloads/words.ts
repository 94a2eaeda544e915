/** What states, causes and errors are called on the page: plain words, and what a person can do. */
import type { present } from "../../../src/api/downloads/present.ts";
import type { DownloadItem } from "../../state/types.ts";
import { providerWord } from "../providers.ts";
import type { Still } from "./still.ts";

/** The closed set: a new one has to be explained here. */
type ErrorCode = NonNullable<ReturnType<typeof present>["error_code"]>;
type Reason = NonNullable<DownloadItem["waiting"]>["reason"];
type Bottleneck = NonNullable<DownloadItem["bottleneck"]>;

const WAITS: Record<Reason, string> = {
  user: "paused by you",
  all_paused: "all are paused",
  queue: "waits for its turn",
  disk: "waits for free space",
  volume: "waits for the disk",
  host_limit: "waits for the host",
  retry: "waits for the next try",
};

export const BOTTLENECKS: Record<Bottleneck, string> = {
  remote: "The other side sends no faster.",
  own_limit: "Your own speed limit.",
  host_limit: "The limit of connections to this host.",
  disk: "Your disk writes no faster.",
  digest: "This machine computes digests no faster.",
};

/** Why it does not move, when it does not; undefined while there is nothing to say beyond its state. */
export function waitWords({ state, waiting }: Pick<DownloadItem, "state" | "waiting">): string | undefined {
  if (waiting === undefined || state === "paused") return undefined;
  return waiting.reason === "queue" && state === "queued" ? undefined : WAITS[waiting.reason];
}

const AGAIN = "Retry; what has arrived is kept.";
const LATER = "Wait a moment and retry.";
const ADDRESS = "Check the address and add it again.";
const ACCESS = "Add it again with an access token of an account that may read it.";
const DISK = "It goes on by itself as soon as that is mended.";

/** What happened in a few words, and what to do about it. The server's own message has the particulars. */
const CAUSES: Record<ErrorCode, readonly [cause: string, advice: string]> = {
  invalid_request: ["The request was not understood", ADDRESS],
  invalid_url: ["This is no address to download from", ADDRESS],
  invalid_path: ["The file name cannot be used", "Add it again with another file name."],
  name_collision: ["Another file has this name", "Add it again with another file name, or delete that file."],
  model_id_conflict: ["Another download has this name", "Wait for that one, or cancel it."],
  unsupported_provider: ["Unknown source", "Choose one of the sources listed under Add."],
  download_not_found: ["The download is gone", "Add it again."],
  file_not_found: ["The file is gone", "Retry to download it again."],
  invalid_state: ["Not possible in this state", "Look at its present state and try again."],
  forbidden_address: ["This address is not allowed here", "The operator of this server can allow it."],
  overloaded: ["This server is busy", LATER],
  not_found: ["There is no such model or file", "Check the spelling; a private one needs an access token."],
  revision_not_found: ["There is no such revision", "Check branch, tag or commit and add it again."],
  entry_not_found: ["The repository has no such file", "Choose one of its files under Add."],
  auth_required: ["The source wants to know who you are", ACCESS],
  gated: [
    "The model is gated",
    "Accept its terms on the model's page, then add it again with your access token.",
  ],
  forbidden: ["The source refuses access", ACCESS],
  disabled: ["The source has disabled this model", "Choose another one; a retry will not help."],
  gone: ["The file is no longer there", "Look for its new address and add that."],
  rejected: ["The source refused the request", ADDRESS],
  rate_limited: [
    "Too many requests to the source",
    "Wait a while and retry; an access token raises the limit.",
  ],
  server_error: ["The source has a fault", LATER],
  dns: ["The host name was not found", "Check the address and this machine's network, then retry."],
  connect: ["The host does not answer", "Check that it runs and can be reached, then retry."],
  network: ["The connection broke", AGAIN],
  timeout: ["The source went silent", AGAIN],
  tls: ["The connection is not secure", "Check the host's certificate and this machine's clock."],
  proxy_auth: ["The proxy wants a login", "The operator of this server can set one."],
  redirects: ["The source leads in circles", ADDRESS],
  protocol: [
    "The source answers nonsense",
    "Retry; if it stays so, something between here and there is broken.",
  ],
  clock: ["This machine's clock is wrong", "Set the clock, then retry."],
  bad_range: ["The source cannot continue", "Retry; it may have to start from the beginning."],
  remote_changed: ["The file changed at the source", "Retry to get the new one."],
  unexpected_content: [
    "This is not a model file",
    "The address leads to a page; look for the file's own address.",
  ],
  lfs_pointer: ["Only a pointer, not the file", "Use the repository's download address."],
  size_mismatch: ["The size is not what was promised", "Retry; the broken data is not kept."],
  checksum: ["The data is damaged", "Retry; the damaged data was deleted."],
  too_large: ["The file is larger than allowed", "The operator of this server can raise the limit."],
  no_space: ["The disk is full", `Free some space. ${DISK}`],
  volume_gone: ["The disk is gone", `Attach it again. ${DISK}`],
  read_only: ["The disk is read-only", `Make it writable. ${DISK}`],
  io: ["The disk reports a fault", `Check the disk. ${DISK}`],
  file_too_big: ["The disk cannot hold files this large", "Use a folder on another file system."],
  tampered: ["Somebody changed the unfinished file", "Retry; it starts from the beginning."],
  locked: ["Another program uses the file", "End that program, then retry."],
  engine_failed: [
    "The engine did not start",
    "The file is complete; an engine that was made has its log under Engines.",
  ],
  internal: ["A fault of this server", "Retry; if it comes back, please report it."],
};

/** What another address or a token mends, and no retry: it is to be added again. */
const ADD_AGAIN: ReadonlySet<string> = new Set<ErrorCode>([
  "invalid_url",
  "not_found",
  "revision_not_found",
  "entry_not_found",
  "auth_required",
  "gated",
  "forbidden",
  "gone",
  "rejected",
  "unexpected_content",
  "lfs_pointer",
]);

export interface Trouble {
  cause: string;
  /** The server's own words. */
  message: string;
  advice: string;
  /** It is over; otherwise it is being tried again. */
  final: boolean;
  /** What to look up to add it again, where that is what to do. */
  reference: string | undefined;
}

/** What went wrong with a download, or with its last try; undefined when nothing did. */
export function troubleOf(item: Still): Trouble | undefined {
  const { error_code, error_message, last_error, state } = item;
  const final = state === "failed";
  const code = final ? error_code : last_error?.code;
  const message = (final ? error_message : last_error?.message) ?? "";
  if (code === undefined && message === "") return undefined;
  const known = code !== undefined && Object.hasOwn(CAUSES, code);
  const [cause, advice] = CAUSES[known ? (code as ErrorCode) : "internal"];
  const isToAdd = final && code !== undefined && ADD_AGAIN.has(code);
  return { cause, message, advice, final, reference: isToAdd ? item.url : undefined };
}

/** Where it comes from, in one line; what its name says already is left out. */
export function sourceOf({ provider, url, repo_id, filename, model_id }: Still): string {
  if (provider === "url") return hostOf(url) ?? provider;
  const more = [repo_id, filename].filter((part) => part !== "" && !model_id.includes(part));
  return [providerWord(provider), ...more].join(" · ");
}

function hostOf(url: string): string | undefined {
  try {
    return new URL(url).host;
  } catch {
    return undefined;
  }
}

/** The address as a link, if it is one a person may follow: nothing but http and https (F202). */
export function linkOf(url: string): string | undefined {
  return /^https?:\/\//i.test(url) && URL.canParse(url) ? url : undefined;
}

/** Without the characters that turn the text around them: a name shall not look like another one. */
export const plain = (text: string): string =>
  text.replace(/[\u0000-\u001f\u007f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
