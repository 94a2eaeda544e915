/** Theme, density, title and icon of the page follow what is known. */
import { effect } from "@preact/signals";
import icon from "../icon.svg";
import { percent } from "../parts/format.ts";
import { connection } from "../state/connection.ts";
import { prefs } from "../state/prefs.ts";
import { counters } from "../state/store.ts";
import step0 from "./icons/progress-0.svg";
import step1 from "./icons/progress-1.svg";
import step2 from "./icons/progress-2.svg";
import step3 from "./icons/progress-3.svg";
import step4 from "./icons/progress-4.svg";
import step5 from "./icons/progress-5.svg";
import step6 from "./icons/progress-6.svg";
import step7 from "./icons/progress-7.svg";
import step8 from "./icons/progress-8.svg";

const NAME = "modelhaul";
/** Files, not drawings: the page's policy allows no pictures but the server's own. */
const STEPS = [step0, step1, step2, step3, step4, step5, step6, step7, step8];

export interface Look {
  title: string;
  icon: string;
}

/** `active` downloads are under way; of `total` bytes `arrived` are there, 0 of 0 while nobody knows. Pure. */
export function lookOf(active: number, arrived: number, total: number, isOffline: boolean): Look {
  if (isOffline) return { title: `No connection · ${NAME}`, icon };
  if (active === 0) return { title: NAME, icon };
  const many = active === 1 ? "1 download" : `${active} downloads`;
  if (total === 0) return { title: `${many} · ${NAME}`, icon: STEPS[0]! };
  const share = Math.min(1, arrived / total);
  return {
    title: `${percent(share * 100)} · ${many} · ${NAME}`,
    icon: STEPS[Math.floor(share * (STEPS.length - 1))]!,
  };
}

/** Call once. */
export function keepLook(): void {
  const root = document.documentElement;
  effect(() => {
    root.dataset.theme = prefs.theme.value;
    root.dataset.density = prefs.density.value;
  });
  const link = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
  effect(() => {
    const { filters, bytes, bytesTotal } = counters.value;
    const look = lookOf(filters.active, bytes, bytesTotal, connection.value.kind === "offline");
    if (document.title !== look.title) document.title = look.title;
    if (link && link.getAttribute("href") !== look.icon) link.href = look.icon;
  });
}
