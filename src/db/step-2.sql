-- Engines that run: where they are reached, why one failed, what its file says of itself.
CREATE TABLE engines_2 (
  engine_id TEXT PRIMARY KEY CHECK (engine_id <> ''),
  download_id TEXT,
  path TEXT NOT NULL,
  model_type TEXT NOT NULL CHECK (model_type IN ('llm', 'embedding')),
  inference_engine TEXT NOT NULL,
  load_immediately INTEGER NOT NULL CHECK (load_immediately IN (0, 1)),
  main_gpu_id INTEGER NOT NULL,
  parameters TEXT NOT NULL CHECK (json_type(parameters) = 'object'),
  state TEXT NOT NULL CHECK (state IN ('created', 'loading', 'loaded', 'stopped', 'failed')),
  endpoint TEXT,
  error TEXT,
  details TEXT CHECK (json_valid(details)),
  created_at INTEGER NOT NULL
) STRICT;
INSERT INTO engines_2 (engine_id, download_id, path, model_type, inference_engine, load_immediately, main_gpu_id, parameters, state, created_at)
  SELECT engine_id, download_id, path, model_type, inference_engine, load_immediately, main_gpu_id, parameters, state, created_at FROM engines;
DROP TABLE engines;
ALTER TABLE engines_2 RENAME TO engines;
