/** What is asked or noted by the clock: the speed of the last minutes, the free space. */
import { computed } from "@preact/signals";
import { loadStorage } from "./actions.ts";
import { connection } from "./connection.ts";
import { everySecond } from "./frames.ts";
import { counters, sampleSpeed } from "./store.ts";

const STORAGE_MS = 15_000;
const SOON_MS = 500;

const isConnected = (): boolean => !["connecting", "offline", "locked"].includes(connection.peek().kind);

function askStorage(): void {
  if (isConnected() && document.visibilityState === "visible") void loadStorage().catch(() => {});
}

/** Call once. */
export function tick(): void {
  everySecond(() => isConnected() && sampleSpeed());
  setInterval(askStorage, STORAGE_MS);
  let plan: ReturnType<typeof setTimeout> | undefined;
  // When one begins or ends, and when a connection stands.
  const running = computed(() => `${counters.value.filters.active} ${connection.value.kind}`);
  running.subscribe(() => {
    clearTimeout(plan);
    plan = setTimeout(askStorage, SOON_MS);
  });
}
