/** Whether this browser has logged in. The session itself is a cookie that no script can read. */
import { signal } from "@preact/signals";

const KEY = "modelhaul.session";

function read(): boolean {
  try {
    return localStorage.getItem(KEY) === "open";
  } catch {
    return false;
  }
}

export const hasSession = signal(read());

hasSession.subscribe((open) => {
  try {
    if (open) localStorage.setItem(KEY, "open");
    else localStorage.removeItem(KEY);
  } catch {}
});
