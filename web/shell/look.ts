/** Theme, density, title and icon of the page follow what is known. */
import { effect } from "@preact/signals";
import icon from "../icon.svg";
import { connection } from "../state/connection.ts";
import { prefs } from "../state/prefs.ts";
import { sums } from "../state/store.ts";
import step0 from "./icons/progress-0.svg";
import step1 from "./icons/progress-1.svg";
import step2 from "./icons/progress-2.svg";
import step3 from "./icons/progress-3.svg";
import step4 from "./icons/progress-4.svg";
import step5 from "./icons/progress-5.svg";
import step6 from "./icons/progress-6.svg";
import step7 from "./icons/progress-7.svg";
import step8 from "./icons/progress-8.svg";
import { lookOf } from "./titles.ts";

/** Files, not drawings: the page's policy allows no pictures but the server's own. */
const ICONS = [step0, step1, step2, step3, step4, step5, step6, step7, step8];

/** Call once. */
export function keepLook(): void {
  const root = document.documentElement;
  effect(() => {
    root.dataset.theme = prefs.theme.value;
    root.dataset.density = prefs.density.value;
  });
  const link = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
  effect(() => {
    const { counters, bytes, bytesTotal } = sums.value;
    const look = lookOf(counters.filters.active, bytes, bytesTotal, connection.value.kind === "offline");
    if (document.title !== look.title) document.title = look.title;
    const address = look.step === null ? icon : (ICONS[look.step] ?? icon);
    if (link && link.getAttribute("href") !== address) link.href = address;
  });
}
