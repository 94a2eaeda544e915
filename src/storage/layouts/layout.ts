import type { Plan, PlanInput, Target } from "../../core/ports.ts";
import type { TargetPath } from "../../core/target-path.ts";

/** One way of laying out files on disk. */
export interface Layout {
  plan(input: PlanInput): Promise<Plan>;
  /** The final name of a file whose bytes are complete. */
  link?(target: Target): Promise<void>;
  finish(input: PlanInput, plan: Plan): Promise<void>;
  remove(path: TargetPath): Promise<void>;
}
