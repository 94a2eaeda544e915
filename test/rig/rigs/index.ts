import type { Rig } from "../rig.ts";
import { fuzz } from "./fuzz.ts";
import { names } from "./names.ts";
import { race } from "./race.ts";

/** Every rig there is; a new one is one file and one line here. */
export const RIGS: readonly Rig[] = [race, names, fuzz];
