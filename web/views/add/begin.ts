/** From what was chosen to requests, and their start. */
import { batch } from "@preact/signals";
import { numberOf, rateOf } from "../../parts/number.tsx";
import { start } from "../../state/actions.ts";
import { downloads, put } from "../../state/store.ts";
import type { StartBody } from "../../state/types.ts";
import { selectionOf } from "./choices.ts";
import { type EngineOptions, type Item, isReady, items, removeItem } from "./items.ts";
import { firstMarked, judgeAll, LABELS, markRefused } from "./marks.ts";
import { referenceOf } from "./references.ts";

export interface Outcome {
  started: number;
  /** Under way already: asked for again, they are what they were. */
  joined: number;
  refused: number;
}

/**
 * Starts all that is ready. What was started leaves the list, token and all; the rest says why it was not, at the field
 * where there is one, and the first such field gets the focus.
 */
export async function startAll(): Promise<Outcome> {
  const outcome: Outcome = { started: 0, joined: 0, refused: 0 };
  let isFocusGiven = false;
  const refuse = (item: Item, why: string): void => {
    const name = firstMarked(item);
    item.refusal.value = name === undefined ? why : `Look at “${LABELS[name]}”.`;
    outcome.refused += 1;
    if (name === undefined || isFocusGiven) return;
    isFocusGiven = true;
    item.wanted.value = name;
  };
  for (const item of items.peek().filter(isReady)) {
    if (judgeAll(item)) {
      refuse(item, "");
      continue;
    }
    try {
      const known = new Set(downloads.peek().keys());
      const download = await start(bodyOf(item));
      batch(() => {
        put(download);
        removeItem(item);
      });
      if (known.has(download.id)) outcome.joined += 1;
      else outcome.started += 1;
    } catch (error) {
      markRefused(item, error);
      refuse(item, error instanceof Error ? error.message : String(error));
    }
  }
  return outcome;
}

/** Throws with what to do when the selection does not fit into one request. */
export function bodyOf(item: Item): StartBody {
  const { token, options, reading, provider } = item;
  const { name, priority, limit, sha256, layout, engine } = options.peek();
  return {
    ...sourceOf(item),
    ...given("token", token.peek().trim()),
    ...given("model_id", name.trim()),
    ...given("sha256", sha256.trim()),
    ...given("layout", layout),
    ...numeric("priority", priority),
    ...(limit.trim() === "" ? {} : { rate_limit_bps: rateOf(limit, 1024 ** 2) }),
    ...(engine.wanted && provider.peek() !== "ollama"
      ? { engine: engineOf(engine, reading?.model_id ?? "") }
      : {}),
  } as StartBody;
}

function sourceOf({ line, reading, found, chosen, provider }: Item): StartBody {
  const { repo_id, revision, include } = reading ?? {};
  const now = found.peek();
  if (now.kind === "choose") {
    const selection = selectionOf(now.choices, chosen.peek());
    if (selection === undefined)
      throw new Error("So many single files do not fit into one request: choose all files, or fewer.");
    const where =
      provider.peek() === "huggingface"
        ? { repo_id: repo_id! }
        : { provider: provider.peek(), model: repo_id! };
    return { ...where, ...given("revision", revision ?? ""), ...selection };
  }
  const reference = referenceOf(line);
  if (/^https?:\/\//i.test(reference)) return { url: reference };
  if (provider.peek() === "ollama-registry")
    return { provider: "ollama-registry", model: tagged(repo_id ?? "", revision) };
  const exact = { ...(include ? { include } : {}), ...given("revision", revision ?? "") };
  return { provider: provider.peek(), model: repo_id ?? "", ...exact };
}

const tagged = (model: string, tag: string | undefined): string =>
  tag === undefined || /:[^/]+$/.test(model) ? model : `${model}:${tag}`;

/** Name of the engine when none is given: the file's or repository's own, without folders and ending. */
export const engineName = (modelId: string): string =>
  (modelId.split("/").at(-1) ?? modelId).replace(/\.(?:gguf|safetensors|bin)$/i, "");

function engineOf(engine: EngineOptions, modelId: string): NonNullable<StartBody["engine"]> {
  const parameters = {
    ...numeric("n_ctx", engine.context),
    ...numeric("n_gpu_layers", engine.gpuLayers),
    ...numeric("n_parallel", engine.parallel),
  };
  return {
    engine_id: engine.id.trim() || engineName(modelId),
    load_immediately: engine.load,
    ...given("model_type", engine.type),
    ...given("inference_engine", engine.runtime),
    ...numeric("main_gpu_id", engine.gpu),
    ...(Object.keys(parameters).length === 0 ? {} : { loading_parameters: parameters }),
  };
}

const given = <K extends string, V extends string>(key: K, value: V): Partial<Record<K, Exclude<V, "">>> =>
  value === "" ? {} : ({ [key]: value } as Record<K, Exclude<V, "">>);

const numeric = <K extends string>(key: K, text: string): Partial<Record<K, number>> =>
  text.trim() === "" ? {} : ({ [key]: numberOf(text) } as Record<K, number>);
