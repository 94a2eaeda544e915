import type { Rig } from "../rig.ts";
import { calls } from "./calls.ts";
import { descriptors } from "./descriptors.ts";
import { diskFull } from "./disk-full.ts";
import { fuzz } from "./fuzz.ts";
import { kill } from "./kill.ts";
import { names } from "./names.ts";
import { order } from "./order.ts";
import { race } from "./race.ts";
import { stop } from "./stop.ts";

/** Every rig there is; a new one is one file and one line here. */
export const RIGS: readonly Rig[] = [calls, descriptors, diskFull, fuzz, kill, names, order, race, stop];
