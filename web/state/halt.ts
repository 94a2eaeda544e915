/** Whether the settings let no download run. Whoever changes them, here or elsewhere: the downloads themselves tell. */
import { computed, effect, type ReadonlySignal } from "@preact/signals";
import { loadSettings } from "./actions.ts";
import { connection } from "./connection.ts";
import { onChange, settings } from "./store.ts";
import { isFinished } from "./tally.ts";
import type { DownloadItem } from "./types.ts";

export const isHalted: ReadonlySignal<boolean> = computed(() => settings.value?.paused === true);

let isAsking = false;
let isAskedAgain = false;

/** Once after the other: what is told while the settings are on their way may be newer than they are. */
async function ask(): Promise<void> {
  isAskedAgain = true;
  if (isAsking) return;
  isAsking = true;
  while (isAskedAgain) {
    isAskedAgain = false;
    // Without them nothing is said; the next news asks again.
    await loadSettings().catch(() => {});
  }
  isAsking = false;
}

const CONNECTED = new Set(["live", "sse", "polling"]);

/** Call once. */
export function watchHalt(): void {
  effect(() => {
    if (CONNECTED.has(connection.value.kind)) void ask();
  });
  onChange((download) => {
    const told = tells(download);
    if (told !== undefined && told !== settings.peek()?.paused) void ask();
  });
}

/** What a download says of it: one that runs was let run, one that waits says why. */
function tells({ state, waiting }: DownloadItem): boolean | undefined {
  if (state === "queued") return waiting && waiting.reason === "all_paused";
  return state === "paused" || isFinished(state) ? undefined : false;
}
