import { delay } from "./delay.ts";
import type { Download } from "./download.ts";
import { isFinished } from "./download.ts";
import { Downloads } from "./downloads.ts";
import { ModelhaulError } from "./errors.ts";
import type { LiveEvent, Watched } from "./live-event.ts";
import type { Transport } from "./transport.ts";

export interface PollingOptions {
  intervalMs: number;
  /** Milliseconds after which a live connection is tried again. */
  forMs: number;
}

/**
 * Live events made of what is asked for again and again. Their numbers are that of the last live event: whoever goes
 * on from there over a live connection misses nothing, and may hear something twice.
 */
export async function* byPolling(
  transport: Transport,
  { ids, since, signal }: Watched,
  { intervalMs, forMs }: PollingOptions,
): AsyncGenerator<LiveEvent> {
  const downloads = new Downloads(transport);
  const seq = since ?? 0;
  const until = Date.now() + forMs;
  let known: Map<string, Download> | undefined;
  while (!signal.aborted) {
    let now: Download[];
    try {
      now = await look(downloads, ids, known, signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    if (!known) yield { type: "snapshot", seq, downloads: now };
    else yield* changes(known, now, seq);
    known = new Map(now.map((download) => [download.id, download]));
    if (Date.now() >= until) return;
    await delay(intervalMs, signal);
  }
}

/** What there is to see; of those that have left the list how they ended. */
async function look(
  downloads: Downloads,
  ids: readonly string[] | undefined,
  known: ReadonlyMap<string, Download> | undefined,
  signal: AbortSignal,
): Promise<Download[]> {
  const one = async (id: string, isMissingFine: boolean): Promise<Download[]> => {
    try {
      const { files: _, ...download } = await downloads.get(id, { signal });
      return [download];
    } catch (error) {
      if (isMissingFine && error instanceof ModelhaulError && error.status === 404) return [];
      throw error;
    }
  };
  if (ids) return (await Promise.all(ids.map((id) => one(id, known !== undefined)))).flat();
  const { active_downloads: active } = await downloads.list({}, { signal });
  const listed = new Set(active.map(({ id }) => id));
  const gone = [...(known?.values() ?? [])].filter((it) => !listed.has(it.id));
  const ended = await Promise.all(gone.map((it) => (isFinished(it) ? [it] : one(it.id, true))));
  return [...active, ...ended.flat()];
}

function* changes(
  known: ReadonlyMap<string, Download>,
  now: readonly Download[],
  seq: number,
): Generator<LiveEvent> {
  for (const download of now) {
    const before = known.get(download.id);
    if (before && fingerprint(before) === fingerprint(download)) continue;
    const isChange = before?.state !== download.state;
    const previous_state = isChange ? (before?.state ?? download.previous_state ?? null) : null;
    yield { type: "download", seq, previous_state, download };
  }
  const left = new Set(now.map(({ id }) => id));
  for (const { id, model_id } of known.values())
    if (!left.has(id)) yield { type: "removed", seq, id, model_id };
}

/** Everything but what changes by itself. */
function fingerprint({ timing: _, ...rest }: Download): string {
  return JSON.stringify(rest);
}
