/** What went wrong with the list itself; gone with the first refresh that works (R117). */
import { effect, signal } from "@preact/signals";
import { loadSettings } from "../../state/actions.ts";
import { connection, refresh } from "../../state/connection.ts";

export const fault = signal("");

export async function refreshNow(): Promise<void> {
  try {
    await Promise.all([refresh(), loadSettings()]);
    fault.value = "";
  } catch (error) {
    fault.value = error instanceof Error ? error.message : String(error);
  }
}

const WORKING = new Set(["live", "sse", "polling"]);
effect(() => {
  if (WORKING.has(connection.value.kind)) fault.value = "";
});
