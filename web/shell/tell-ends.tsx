/** Tells of downloads that have ended: to screen readers, and as a notification when the page is not looked at. */
import { signal } from "@preact/signals";
import icon from "../icon.svg";
import { toast } from "../state/notices.ts";
import { prefs } from "../state/prefs.ts";
import { onChange } from "../state/store.ts";
import { isFinished } from "../state/tally.ts";
import type { DownloadItem } from "../state/types.ts";
import { sentence } from "./sentences.ts";

/** Ends within this time are told in one sentence. */
const GATHER_MS = 2_000;
const said = signal("");
let ended: DownloadItem[] = [];

/** Call once. */
export function watchEnds(): void {
  onChange((after, before) => {
    if (!before || isFinished(before.state) || !isFinished(after.state)) return;
    if (ended.length === 0) setTimeout(tellEnds, GATHER_MS);
    ended.push(after);
  });
}

function tellEnds(): void {
  const text = sentence(ended);
  ended = [];
  if (text === "") return;
  said.value = text;
  if (!prefs.notifications.value || document.hasFocus()) return;
  try {
    new Notification("modelhaul", { body: text, icon, tag: "ends" });
  } catch {
    // Some browsers show them from service workers only.
  }
}

/** What has ended, read out once. Once on the page. */
export function EndsHost() {
  return (
    <div class="unseen" role="log" aria-label="Downloads that have ended">
      {said.value}
    </div>
  );
}

/** Asks the browser first; resolves with whether they are on now. */
export async function allowNotifications(on: boolean): Promise<boolean> {
  if (on && !("Notification" in globalThis)) toast("This browser has no notifications.", { kind: "bad" });
  else if (on && (await Notification.requestPermission()) !== "granted")
    toast("The browser does not allow notifications from this page. Its settings can.", { kind: "bad" });
  else prefs.notifications.value = on;
  return prefs.notifications.value;
}
