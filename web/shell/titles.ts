import { percent } from "../parts/format.ts";

export const NAME = "modelhaul";
/** Icons there are of progress, beside the empty one. */
export const STEPS = 8;

export interface Look {
  title: string;
  /** Icon of progress to show, null for the usual one. */
  step: number | null;
}

/** `active` downloads are under way; of `total` bytes `arrived` are there, 0 of 0 while nobody knows. Pure. */
export function lookOf(active: number, arrived: number, total: number, isOffline: boolean): Look {
  if (isOffline) return { title: `No connection · ${NAME}`, step: null };
  if (active === 0) return { title: NAME, step: null };
  const many = active === 1 ? "1 download" : `${active} downloads`;
  if (total === 0) return { title: `${many} · ${NAME}`, step: 0 };
  const share = Math.min(1, arrived / total);
  return { title: `${percent(share * 100)} · ${many} · ${NAME}`, step: Math.floor(share * STEPS) };
}
