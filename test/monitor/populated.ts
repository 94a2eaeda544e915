/** A service in the middle of its work: a download in every state, models on disk, engines. */
import type { Daemon } from "../support/daemon.ts";
import { ggufFile, ggufRepo, type Hub, type RepoSpec, safetensorsRepo } from "../support/hub.ts";

const MIB = 1 << 20;
const LLAMA = "acme/Llama-3.2-3B-Instruct-GGUF";
const QWEN = "acme/Qwen3-8B-GGUF";
const MISTRAL = "acme/Mistral-7B-v0.3";
const EMBEDDING = "acme/bge-small-embedding-GGUF";
const GATED = "acme/gemma-3-4b-it-GGUF";

const QUANTIZATIONS = { Q2_K: 3, Q4_K_M: 5, Q5_K_M: 6, Q8_0: 9, F16: 16 };

/** Repositories like those that people meet. `unit` is the size of the smallest file in bytes. */
export function usualRepos(unit = MIB): RepoSpec[] {
  const sizes = Object.fromEntries(Object.entries(QUANTIZATIONS).map(([name, size]) => [name, size * unit]));
  const split = { quantization: "BF16", count: 3, sizeOfEach: 6 * unit };
  const gated = ggufRepo(GATED, { quantizations: { Q4_K_M: 4 * unit } });
  return [
    ggufRepo(LLAMA, { quantizations: sizes, split }),
    ggufRepo(QWEN, { quantizations: sizes }),
    safetensorsRepo(MISTRAL, { shards: 4, sizeOfEach: 5 * unit }),
    { id: EMBEDDING, files: [ggufFile(EMBEDDING, "bge-small-embedding-Q8_0.gguf", unit, "Q8_0")] },
    { ...gated, gated: "manual" },
  ];
}

export interface Populated {
  /** Id by the state it is in. */
  byState: Record<
    "completed" | "downloading" | "paused" | "queued" | "failed" | "cancelled" | "manyFiles",
    string
  >;
}

/**
 * Starts one of every kind on a hub of `usualRepos` and waits until each is where it belongs. `rate`: bytes per second
 * of all that go on from then on.
 */
export async function populate(
  { daemon, hub }: { daemon: Daemon; hub: Hub },
  rate: number,
): Promise<Populated> {
  hub.cdn.limits.rateTotal = 1 << 30;
  const begin = async (request: Record<string, unknown>): Promise<string> => (await daemon.begin(request)).id;
  const completed = await begin({
    repo_id: EMBEDDING,
    filename: "bge-small-embedding-Q8_0.gguf",
    engine: { engine_id: "bge-small", model_type: "embedding", main_gpu_id: 0 },
  });
  const model = await begin({ repo_id: QWEN, filename: "Qwen3-8B-Q2_K.gguf" });
  for (const id of [completed, model]) await daemon.until(id, "completed");
  const failed = await begin({ repo_id: GATED, filename: "gemma-3-4b-it-Q4_K_M.gguf" });
  await daemon.until(failed, ({ state }) => state === "failed");

  hub.cdn.limits.rateTotal = rate;
  const moving = ({ progress }: { progress: { downloaded_bytes: number } }): boolean =>
    progress.downloaded_bytes > rate / 4;
  const cancelled = await begin({ repo_id: LLAMA, filename: "Llama-3.2-3B-Instruct-Q2_K.gguf" });
  await daemon.must("POST", `/v1/downloads/${cancelled}/cancel`);
  const paused = await begin({ repo_id: LLAMA, filename: "Llama-3.2-3B-Instruct-Q8_0.gguf" });
  await daemon.until(paused, moving);
  await daemon.must("POST", `/v1/downloads/${paused}/pause`);
  const manyFiles = await begin({ repo_id: MISTRAL });
  const downloading = await begin({
    repo_id: LLAMA,
    filename: "Llama-3.2-3B-Instruct-Q4_K_M.gguf",
    engine: { engine_id: "llama-3b", main_gpu_id: 0, load_immediately: true },
  });
  await begin({ repo_id: QWEN, filename: "Qwen3-8B-Q5_K_M.gguf" });
  const queued = await begin({ repo_id: QWEN, filename: "Qwen3-8B-Q8_0.gguf" });
  await begin({ repo_id: QWEN, filename: "Qwen3-8B-F16.gguf", priority: -10 });
  for (const id of [manyFiles, downloading]) await daemon.until(id, moving);
  await daemon.until(queued, "queued");
  return { byState: { completed, downloading, paused, queued, failed, cancelled, manyFiles } };
}
