import { delay } from "./delay.ts";
import type { Download } from "./download.ts";
import { Downloads } from "./downloads.ts";
import { ModelhaulError } from "./errors.ts";
import { lanes } from "./lanes.ts";
import type { LiveEvent, Watched } from "./live-event.ts";
import type { Transport } from "./transport.ts";

export interface PollingOptions {
  intervalMs: number;
  /** Milliseconds after which a live connection is tried again. */
  forMs: number;
}

/** A server that has begun no answer within this time hangs: much data or a slow line only make the answer long. */
const BEGIN_MS = 5_000;
/** Downloads that are asked for one by one: a browser has six connections to a server for everything there is. */
const ABREAST = 2;

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
  let known: ReadonlyMap<string, Download> | undefined;
  while (!signal.aborted) {
    let now: Seen;
    try {
      now = await look(downloads, ids, known, signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    if (!known) yield { type: "snapshot", seq, downloads: now.listed };
    else yield* changes(known, now, seq);
    known = new Map(now.listed.map((download) => [download.id, download]));
    if (Date.now() >= until) return;
    await delay(intervalMs, signal);
  }
}

interface Seen {
  listed: Download[];
  /** What has left the list, as it is now: a finished one is not listed for long. */
  left: Download[];
}

async function look(
  downloads: Downloads,
  ids: readonly string[] | undefined,
  known: ReadonlyMap<string, Download> | undefined,
  signal: AbortSignal,
): Promise<Seen> {
  const lane = lanes(ABREAST);
  const patience = { signal, beginMs: BEGIN_MS };
  const one = async (id: string, isMissingFine: boolean): Promise<Download[]> => {
    try {
      const { files: _, ...download } = await downloads.get(id, patience);
      return [download];
    } catch (error) {
      if (isMissingFine && error instanceof ModelhaulError && error.status === 404) return [];
      throw error;
    }
  };
  const all = async (wanted: readonly string[], isMissingFine: boolean): Promise<Download[]> =>
    (await Promise.all(wanted.map((id) => lane(() => one(id, isMissingFine), signal)))).flat();
  if (ids) return { listed: await all(ids, known !== undefined), left: [] };
  const { active_downloads: listed } = await downloads.list({}, patience);
  const isListed = new Set(listed.map(({ id }) => id));
  const gone = [...(known?.keys() ?? [])].filter((id) => !isListed.has(id));
  return { listed, left: await all(gone, true) };
}

function* changes(
  known: ReadonlyMap<string, Download>,
  { listed, left }: Seen,
  seq: number,
): Generator<LiveEvent> {
  const now = [...listed, ...left];
  for (const download of now) {
    const before = known.get(download.id);
    if (before && fingerprint(before) === fingerprint(download)) continue;
    const isChange = before?.state !== download.state;
    const previous_state = isChange ? (before?.state ?? download.previous_state ?? null) : null;
    yield { type: "download", seq, previous_state, download };
  }
  const there = new Set(now.map(({ id }) => id));
  for (const { id, model_id } of known.values())
    if (!there.has(id)) yield { type: "removed", seq, id, model_id };
}

/** Everything but what changes by itself. */
function fingerprint({ timing: _, ...rest }: Download): string {
  return JSON.stringify(rest);
}
