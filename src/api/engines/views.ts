import { UNFINISHED } from "../../core/download.ts";
import type { Downloads } from "../../core/downloads.ts";
import type { Snapshot } from "../../core/feed.ts";
import type { Engine } from "../../core/ports.ts";
import { unknown, type Words } from "./refusals.ts";

/** The unfinished download that is to become this engine. */
export async function awaited(downloads: Downloads, engineId: string): Promise<Snapshot | undefined> {
  const filter = { labels: { engine_id: engineId }, states: UNFINISHED };
  return (await downloads.list(filter, { limit: 1 })).items[0];
}

/** The engine, or the refusal that says where it is instead. */
export async function mustEngine(downloads: Downloads, id: string, words: Words): Promise<Engine> {
  return (await downloads.engines.get(id)) ?? (await refuseUnknown(downloads, id, words));
}

export async function refuseUnknown(downloads: Downloads, id: string, words: Words): Promise<never> {
  const download = await awaited(downloads, id);
  throw unknown(
    words,
    download && ": its download has not ended; it is watched, paused and cancelled under /v1/downloads",
  );
}
