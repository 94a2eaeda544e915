import type { Rig } from "../rig.ts";
import { browser } from "./browser.ts";
import { calls } from "./calls.ts";
import { descriptors } from "./descriptors.ts";
import { diskFull } from "./disk-full.ts";
import { fuzz } from "./fuzz.ts";
import { kept } from "./kept.ts";
import { kill } from "./kill.ts";
import { model } from "./model.ts";
import { names } from "./names.ts";
import { order } from "./order.ts";
import { queue } from "./queue.ts";
import { race } from "./race.ts";
import { secrets } from "./secrets.ts";
import { ssrf } from "./ssrf.ts";
import { stop } from "./stop.ts";
import { swarm } from "./swarm.ts";
import { timing } from "./timing.ts";

/** Every rig there is; a new one is one file and one line here. */
export const RIGS: readonly Rig[] = [
  browser,
  calls,
  descriptors,
  diskFull,
  fuzz,
  kept,
  kill,
  model,
  names,
  order,
  queue,
  race,
  secrets,
  ssrf,
  stop,
  swarm,
  timing,
];
