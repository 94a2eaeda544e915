import type { EngineRuntime } from "../core/ports.ts";
import { inspect } from "./model/inspect.ts";

/** The default runtime (A16): reads the header, refuses what is no model, keeps the record. Starts nothing. */
export const register: EngineRuntime = {
  name: "register",
  async create(spec, path, signal, among) {
    const { details, modelType, warnings } = await inspect(spec, path, signal, among);
    return {
      state: spec.loadImmediately ? "loaded" : "created",
      endpoint: null,
      details,
      modelType,
      warnings,
    };
  },
};
