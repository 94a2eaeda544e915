/** Follows downloads until they have ended. */
import { isFinished } from "../core/download.ts";
import { waitingFor } from "./describe.ts";
import type { Display } from "./display.ts";
import { EXIT, exitFor } from "./exit.ts";
import { safe } from "./format.ts";
import type { WatchEvent, WireDownload } from "./wire.ts";

/** What is followed: our own core, or a daemon. */
export interface Watched {
  watch(signal: AbortSignal): AsyncIterable<WatchEvent>;
  /** With `files[]`. Throws when there is none of this id. */
  one(id: string): Promise<WireDownload>;
}

export interface Outcome {
  code: number;
  download: WireDownload | undefined;
}

const FILES_EVERY_MS = 500;

/**
 * Shows every change and answers what became of each id (UUIDs). A disk that is full, or takes nothing, counts as an end
 * here, since nobody may be there to mend it. Without ids it goes on until the signal.
 */
export async function follow(
  watched: Watched,
  ids: readonly string[] | undefined,
  display: Display,
  signal: AbortSignal,
): Promise<Map<string, Outcome>> {
  const outcomes = new Map<string, Outcome>();
  const files = new FileLook(watched, display);
  const settled = (): boolean => ids !== undefined && outcomes.size === ids.length;
  const see = (download: WireDownload): void => {
    if (ids !== undefined && (!ids.includes(download.id) || outcomes.has(download.id))) return;
    display.show(download);
    files.look(download);
    const code = codeOf(download);
    if (code !== undefined) outcomes.set(download.id, { code, download });
  };
  const done = new AbortController();
  try {
    for await (const event of watched.watch(AbortSignal.any([signal, done.signal]))) {
      if (event.type === "download") see(event.download);
      else if (event.type === "removed") {
        if (ids?.includes(event.id) && !outcomes.has(event.id))
          outcomes.set(event.id, { code: EXIT.failed, download: undefined });
      }
      // A list of active ones does not hold what has ended long ago.
      else if (ids === undefined) for (const download of event.downloads) see(download);
      else if (!event.more) for (const id of ids) see(await watched.one(id));
      if (ids === undefined) outcomes.clear();
      if (settled()) break;
    }
  } finally {
    done.abort();
  }
  return outcomes;
}

/** Exit code once nothing more will happen by itself. */
function codeOf(download: WireDownload): number | undefined {
  if (download.state === "completed") return EXIT.done;
  if (isFinished(download.state)) return exitFor(download.error_code);
  return download.waiting?.reason === "disk" ? exitFor(download.last_error?.code ?? "no_space") : undefined;
}

/** Fetches `files[]` of many-file downloads now and then, when the display shows them. */
class FileLook {
  readonly #watched: Watched;
  readonly #display: Display;
  readonly #last = new Map<string, number>();

  constructor(watched: Watched, display: Display) {
    this.#watched = watched;
    this.#display = display;
  }

  look(download: WireDownload): void {
    if (!this.#display.wantsFiles || download.files !== undefined || isFinished(download.state)) return;
    const now = performance.now();
    if (now - (this.#last.get(download.id) ?? Number.NEGATIVE_INFINITY) < FILES_EVERY_MS) return;
    this.#last.set(download.id, now);
    this.#watched.one(download.id).then(
      (whole) => {
        if (!isFinished(whole.state)) this.#display.show(whole);
      },
      () => {},
    );
  }
}

/** Why it ended, for standard error; empty when it went well. */
export function complaint(id: string, { code, download }: Outcome): string {
  if (code === EXIT.done) return "";
  if (download === undefined) return `modelhaul: ${id}: the record was removed`;
  const why = waitingFor(download) || safe(download.error_message ?? `was ${download.state}`);
  return `modelhaul: ${safe(download.model_id)}: ${why}`;
}
