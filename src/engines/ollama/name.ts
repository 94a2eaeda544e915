import { createHash } from "node:crypto";

/** `[namespace/]model[:tag]`, parts of at most 80 characters (protocols/ollama.md §5). */
const NAME = /^(?:[a-zA-Z0-9_][\w-]{0,79}\/)?[a-zA-Z0-9_][\w.-]{0,79}(?::[a-zA-Z0-9_][\w.-]{0,79})?$/;

/** The engine's id where Ollama takes it as a name; else one like it, and different for different ids. */
export function modelName(engineId: string): string {
  if (NAME.test(engineId)) return engineId;
  const like = engineId
    .replace(/[^\w.-]+/g, "-")
    .replace(/^[.-]+/, "")
    .slice(0, 60);
  const mark = createHash("sha256").update(engineId).digest("hex").slice(0, 12);
  return like === "" ? `model-${mark}` : `${like}-${mark}`;
}
