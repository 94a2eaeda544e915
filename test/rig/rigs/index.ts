import type { Rig } from "../rig.ts";
import { calls } from "./calls.ts";
import { diskFull } from "./disk-full.ts";
import { race } from "./race.ts";

/** Every rig there is; a new one is one file and one line here. */
export const RIGS: readonly Rig[] = [race, calls, diskFull];
