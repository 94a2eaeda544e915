import type { Rig } from "../rig.ts";
import { kept } from "./kept.ts";
import { model } from "./model.ts";
import { queue } from "./queue.ts";
import { race } from "./race.ts";
import { swarm } from "./swarm.ts";

/** Every rig there is; a new one is one file and one line here. */
export const RIGS: readonly Rig[] = [race, swarm, queue, kept, model];
