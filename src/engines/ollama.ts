import { basename } from "node:path";
import type { EngineSpec } from "../core/download.ts";
import { DownloadError } from "../core/errors.ts";
import type { Digests, EngineRuntime, Http, Log } from "../core/ports.ts";
import { knownTarget } from "../core/target-path.ts";
import { inspect } from "./model/inspect.ts";
import { OllamaClient } from "./ollama/client.ts";
import { modelName } from "./ollama/name.ts";

export interface OllamaOptions {
  /** Base URL of the daemon, named by the operator (A26). */
  url: string;
  http: Http;
  digests: Digests;
  log: Log;
}

/** Said in the licence layer of what we import: by it our models are told from the user's own. */
const MARK = "Imported by modelhaul from";

/** The file is imported into a running Ollama, under the engine's id (protocols/ollama.md §4). It loads it when asked. */
export function ollama({ url, http, digests, log }: OllamaOptions): EngineRuntime {
  const daemon = new OllamaClient(http, url);

  /** Imports what is not there yet. Rejects when the daemon has another model of that name. */
  const bring = async (spec: EngineSpec, files: readonly string[], signal: AbortSignal): Promise<void> => {
    const model = modelName(spec.engineId);
    const present = await daemon.licence(model, signal);
    if (present !== undefined && !present.includes(MARK)) throw notOurs(model, url);
    const blobs: Record<string, string> = {};
    for (const file of files) {
      const { hex } = await digests.file(knownTarget(file), "sha256", signal);
      signal.throwIfAborted();
      blobs[blobName(file)] = `sha256:${hex}`;
    }
    const context = spec.parameters.n_ctx;
    const parameters: Record<string, number> = typeof context === "number" ? { num_ctx: context } : {};
    const license = `${MARK} ${Object.entries(blobs).flat().join(" ")} ${JSON.stringify(parameters)}`;
    if (present?.includes(license)) return;
    for (const file of files) await daemon.upload(file, blobs[blobName(file)] as string, signal);
    await daemon.create({ model, files: blobs, license, parameters }, signal);
    log.info("a model was imported into Ollama", { engine_id: spec.engineId, model });
  };

  return {
    name: "ollama",
    async create(spec, path, signal, among) {
      const { files, details, modelType, warnings } = await inspect(spec, path, signal, among);
      if (details.format !== "gguf")
        throw new DownloadError(
          "engine_failed",
          `Ollama imports GGUF files; '${path}' is none. The file stays.`,
        );
      const report = { details, modelType, warnings };
      if (!spec.loadImmediately) return { ...report, state: "created", endpoint: null };
      await bring(spec, files, signal);
      return { ...report, state: "loaded", endpoint: url };
    },
    async stop({ engineId }) {
      // Only its memory is freed, and that it does by itself after a while: no reason to fail.
      await daemon
        .unload(modelName(engineId))
        .catch((error) =>
          log.debug("Ollama was not told to unload", { engine_id: engineId, error: String(error) }),
        );
    },
    async remove(engine) {
      if (engine.endpoint === null && engine.state === "created") return;
      const model = modelName(engine.engineId);
      try {
        const licence = await daemon.licence(model);
        if (licence?.includes(MARK)) await daemon.remove(model);
      } catch (error) {
        // A server that is gone for good must not keep its engines in the list: a stopped one is forgotten all the same.
        if (engine.state === "loaded") throw error;
        log.warn("a model may still be in Ollama", {
          engine_id: engine.engineId,
          model,
          error: String(error),
        });
      }
    },
  };
}

/** The daemon goes by the suffix, where there is one. */
const blobName = (file: string): string =>
  /\.gguf$/i.test(file) ? basename(file) : `${basename(file)}.gguf`;

const notOurs = (model: string, url: string): DownloadError =>
  new DownloadError(
    "engine_failed",
    `The Ollama server at ${url} has a model '${model}' that was not imported from here. Choose another engine_id, or remove it with \`ollama rm ${model}\`. The file stays.`,
  );
