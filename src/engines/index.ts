import type { EngineRuntime } from "../core/ports.ts";
import { register } from "./register.ts";

/** Every engine runtime of this build, the default first. Adding one is one file and one line here. */
export function createRuntimes(): EngineRuntime[] {
  return [register];
}
