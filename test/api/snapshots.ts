import type { EngineSpec } from "../../src/core/download.ts";
import type { Snapshot } from "../../src/core/feed.ts";

/** Start of seed 001's example. */
export const START = 1_703_097_600_000;

export const engine: EngineSpec = {
  engineId: "my-engine",
  modelType: "llm",
  inferenceEngine: "llama-cpu",
  loadImmediately: true,
  mainGpuId: 0,
  parameters: {},
};

/** A download ten seconds in, with the numbers of seed 001. */
export function snapshot(changes: Partial<Snapshot> = {}): Snapshot {
  return {
    id: "0b3c0c5e-7d0c-4f0e-9d64-0a6f4d0f8a11",
    modelId: "my-model",
    type: "regular",
    source: { provider: "url", key: "k", url: "https://huggingface.co/model/file.gguf" },
    layout: "flat",
    state: "downloading",
    previousState: "queued",
    intent: null,
    priority: 0,
    position: 1,
    attempt: 0,
    notBefore: null,
    waiting: null,
    owner: "me",
    leaseUntil: null,
    bytes: 1_048_576,
    total: 10_485_760,
    filesTotal: 1,
    filesDone: 0,
    averageBps: 524_288.4,
    repo: null,
    commit: null,
    localPath: "./models/file.gguf",
    labels: {},
    engine: null,
    modelType: "llm",
    error: null,
    warnings: [],
    rateLimit: 0,
    retry: null,
    createdAt: START,
    startedAt: START,
    endedAt: null,
    seq: 1,
    speed: 0,
    connections: 8,
    bottleneck: null,
    place: null,
    ...changes,
  };
}
