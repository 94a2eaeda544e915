/** What goes with a model and is none: told by `general.type`, in older files by other signs. */
import type { GgufHeader } from "./gguf.ts";
import { BadHeader } from "./reader.ts";

const OWN_FILE = "Name the model's own file";

/** By `general.type`; any other word is a model. */
const COMPANIONS: Readonly<Record<string, string>> = {
  mmproj: `is a projector (mmproj), which only works beside the model it was made for. ${OWN_FILE}`,
  adapter: `is an adapter (LoRA), which only changes the model it was made for. ${OWN_FILE}`,
  imatrix: `is an importance matrix, which is made for quantizing a model. ${OWN_FILE}`,
};

/**
 * Throws {@link BadHeader} for what no program could load as a model. `headers` are those of the files of a set that
 * are there, of which only the first says what it is; `isWhole` when none of them is missing.
 */
export function refuseCompanion(headers: readonly GgufHeader[], isWhole: boolean): void {
  const { pairs } = headers[0] as GgufHeader;
  const why = COMPANIONS[typeOf(pairs)];
  if (why !== undefined) throw new BadHeader(why);
  if (architectureOf(pairs) === null) {
    const isLater = Number(pairs.get("split.no") ?? 0) > 0;
    const first = isLater ? ": the first file of its set, which does, is missing" : "";
    throw new BadHeader(`names no architecture (general.architecture)${first}, so no program could load it`);
  }
  if (isWhole && headers.every(({ tensorCount }) => tensorCount === 0))
    throw new BadHeader("has no weights: its header lists no tensors");
}

/** Null where the header names none. */
export function architectureOf(pairs: GgufHeader["pairs"]): string | null {
  const named = pairs.get("general.architecture");
  return typeof named === "string" && named !== "" ? named : null;
}

function typeOf(pairs: GgufHeader["pairs"]): string {
  const type = pairs.get("general.type");
  if (typeof type === "string" && Object.hasOwn(COMPANIONS, type)) return type;
  if (architectureOf(pairs) === "clip") return "mmproj";
  return pairs.has("adapter.type") ? "adapter" : "";
}
