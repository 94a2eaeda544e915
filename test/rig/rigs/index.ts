import type { Rig } from "../rig.ts";
import { browser } from "./browser.ts";
import { race } from "./race.ts";
import { secrets } from "./secrets.ts";
import { ssrf } from "./ssrf.ts";
import { timing } from "./timing.ts";

/** Every rig there is; a new one is one file and one line here. */
export const RIGS: readonly Rig[] = [race, browser, secrets, ssrf, timing];
