import type { EngineSpec } from "../../core/download.ts";

/**
 * What lists and answers to commands say of the engine to come (R65), with both spellings of its id (A3). The kind is
 * there because the seed's own client reads it from lists (R106).
 */
export function engineBrief(engine: EngineSpec) {
  return {
    model_id: engine.engineId,
    engine_id: engine.engineId,
    load_immediately: engine.loadImmediately,
    main_gpu_id: engine.mainGpuId,
    model_type: engine.modelType,
    inference_engine: engine.inferenceEngine,
  };
}

const EMBEDDING = {
  embedding_features: { normalization: true, supports_batching: true, optimized_for_retrieval: true },
  recommended_usage: { document_embedding: true, semantic_search: true, similarity_computation: true },
};
const LLM = { llm_features: { text_generation: true, chat_completion: true, instruction_following: true } };

/** What the single record says (R69), with the features of its kind (R70, R71). */
export function engineFull(engine: EngineSpec) {
  return {
    ...engineBrief(engine),
    ...(engine.modelType === "embedding" ? EMBEDDING : LLM),
  };
}
