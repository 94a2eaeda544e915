import { DownloadError, type ErrorCode } from "../../core/errors.ts";

/** Whom a message speaks of. */
export interface Subject {
  /** Base URL of the server. */
  server: string;
  /** Model as asked for. */
  model: string;
}

const LONGEST = 600;

/**
 * What the texts of a daemon mean (protocols/ollama.md §2.2), the first that fits. They come from its own steps, from
 * its registry (`pull model manifest: 429: …`) and from Go's network code. The daemon itself has tried a part six times
 * by then: what is not known to pass by itself is final, and said in its own words.
 */
const MEANING: readonly [RegExp, ErrorCode][] = [
  [/digest mismatch/i, "checksum"],
  [/no space left|not enough (?:disk )?space|disk quota|disk is full/i, "no_space"],
  [/file does not exist|manifest unknown|pull model manifest: 404\b/i, "not_found"],
  [/unauthorized|access denied|: 401\b/i, "auth_required"],
  [/: 403\b|forbidden/i, "forbidden"],
  [/: 429\b|too many requests/i, "rate_limited"],
  [/: (?:500|502|503|504|52\d)\b|server misbehaving/i, "server_error"],
  [/pull model manifest: 4\d\d\b/i, "rejected"],
  [/x509|certificate/i, "tls"],
  [
    /max retries exceeded|\bEOF\b|connection (?:reset|refused)|broken pipe|i\/o timeout|handshake timeout|deadline exceeded|context canceled|no such host|\bdial tcp\b|network is unreachable|no route to host|stream error|closed network connection|timed? ?out|stalled/i,
    "network",
  ],
];

const ADVICE: Partial<Record<ErrorCode, string>> = {
  not_found: " Check its name and tag at ollama.com/library.",
  auth_required: " The model is private, or the server's own key is not known to its registry.",
  no_space: " Make room on the machine of that server; it goes on by itself.",
  checksum: " What arrives there is damaged on the way: try again later.",
};

/** The daemon's `{"error": text}`, whether it came as a line or as a status. */
export function daemonError({ server, model }: Subject, text: string, status?: number): DownloadError {
  const [, code] = MEANING.find(([pattern]) => pattern.test(text)) ?? [undefined, "rejected" as const];
  const said = harmless(text).replace(/[.\s]+$/, "");
  const message = `The Ollama server at ${server} could not pull '${model}': ${said}.${ADVICE[code] ?? ""}`;
  return new DownloadError(code, message, status === undefined ? {} : { status });
}

/** A25: begins with the seed's own sentence. One that was there a moment ago may be starting again. */
export function unreachable(server: string, cause: DownloadError, again: boolean): DownloadError {
  const message =
    `Cannot connect to Ollama server at ${server}: ${cause.message} ` +
    "Start it with `ollama serve`, or name another one with --ollama-url, OLLAMA_HOST or base_url.";
  return new DownloadError("connect", message, { cause, verdict: again ? "retry" : "final" });
}

/**
 * Text of another program, fit to be shown: one line, not endless, and of URLs only what is no secret. Go's network
 * errors repeat the whole signed link (F194).
 */
export function harmless(text: string): string {
  const line = text
    .slice(0, 4 * LONGEST)
    .toWellFormed()
    .replace(/[\s\p{Cc}\p{Cf}]+/gu, " ")
    .replace(/\b(https?:\/\/)(?:[^\s/@"']*@)?([^\s?#"']*)[?#][^\s"']*/gi, "$1$2")
    .replace(/\b(https?:\/\/)[^\s/@"']*@/gi, "$1")
    .trim();
  return line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line;
}
