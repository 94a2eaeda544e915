import type { Verification } from "../core/downloads.ts";
import { DownloadError, toDownloadError } from "../core/errors.ts";
import { digestText, presentFile } from "./downloads/present.ts";
import { kolosalRefusal } from "./envelope.ts";

/** How a file is verified; `tell` gets the bytes read so far and how many there are. */
export type Verify = (
  signal: AbortSignal,
  tell: (bytes: number, total: number) => void,
) => Promise<Verification>;

export const verdict = ({ file, digest, matches }: Verification) => ({
  success: matches !== false,
  message:
    matches === null
      ? "Digest computed; there was none to compare it with"
      : matches
        ? "The file is what it should be"
        : "The file is not what it should be; delete it and download it again",
  ...(matches === null ? {} : { matches }),
  computed: digestText(digest),
  file: presentFile(file),
});

const utf8 = new TextEncoder();
/** Between two progress events, milliseconds. */
const EVERY_MS = 200;
const HEADERS = {
  "Content-Type": "text/event-stream; charset=utf-8",
  "Cache-Control": "no-store, no-transform",
  "X-Accel-Buffering": "no",
};

export const eventText = (event: string, data: object): string =>
  `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;

/**
 * The verification as server-sent events: `progress` {bytes, total} a few times a second, then one `verdict` or
 * `error`. Rejects as `verify` does when it fails before the first byte was read; a closed stream stops it.
 */
export async function verificationStream(
  verify: Verify,
  signal: AbortSignal,
  now: () => number,
): Promise<Response> {
  const left = new AbortController();
  const begun = Promise.withResolvers<void>();
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let last = Number.NEGATIVE_INFINITY;
  const say = (event: string, data: object): void => controller?.enqueue(utf8.encode(eventText(event, data)));
  const stream = new ReadableStream<Uint8Array>({
    start: (it) => {
      controller = it;
    },
    cancel: () => {
      controller = undefined;
      left.abort(new DownloadError("invalid_state", "Nobody waits for the result any more."));
    },
  });
  const done = verify(AbortSignal.any([signal, left.signal]), (bytes, total) => {
    begun.resolve();
    if (now() - last < EVERY_MS && bytes < total) return;
    last = now();
    say("progress", { bytes, total });
  });
  await Promise.race([begun.promise, done]);
  void done
    .then(
      (verification) => say("verdict", verdict(verification)),
      (error) => say("error", { error: kolosalRefusal(toDownloadError(error)).error }),
    )
    .finally(() => controller?.close());
  return new Response(stream, { headers: HEADERS });
}
