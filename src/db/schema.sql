-- The only durable state. Times are epoch milliseconds, booleans 0 or 1, rates bytes per second (0 = no limit).
-- What core/download.ts says about states and transitions is said here once more, as constraints; test/db/schema.test.ts
-- compares the two.

CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE downloads (
  -- Order of creation.
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE CHECK (id <> ''),
  model_id TEXT NOT NULL CHECK (model_id <> ''),
  type TEXT NOT NULL CHECK (type IN ('regular', 'startup')),
  source TEXT NOT NULL CHECK (json_valid(source)),
  source_key TEXT NOT NULL AS (json_extract(source, '$.key')),
  provider TEXT NOT NULL AS (json_extract(source, '$.provider')),
  layout TEXT NOT NULL CHECK (layout IN ('flat', 'hf-cache')),
  state TEXT NOT NULL CHECK (state IN
    ('queued', 'downloading', 'paused', 'verifying', 'creating_engine', 'completed', 'failed', 'cancelled')),
  previous_state TEXT CHECK (previous_state IN
    ('queued', 'downloading', 'paused', 'verifying', 'creating_engine', 'completed', 'failed', 'cancelled')),
  intent TEXT CHECK (intent IN ('pause', 'cancel')),
  priority INTEGER NOT NULL,
  position REAL NOT NULL,
  attempt INTEGER NOT NULL CHECK (attempt >= 0),
  not_before INTEGER,
  waiting TEXT CHECK (json_valid(waiting)),
  owner TEXT CHECK (owner <> ''),
  lease_until INTEGER,
  bytes INTEGER NOT NULL CHECK (bytes >= 0),
  total INTEGER CHECK (total >= 0),
  files_total INTEGER NOT NULL CHECK (files_total >= 0),
  files_done INTEGER NOT NULL CHECK (files_done >= 0),
  average_bps REAL NOT NULL CHECK (average_bps >= 0),
  repo TEXT,
  "commit" TEXT,
  local_path TEXT,
  labels TEXT NOT NULL CHECK (json_type(labels) = 'object'),
  engine TEXT CHECK (json_valid(engine)),
  model_type TEXT NOT NULL CHECK (model_type IN ('llm', 'embedding')),
  error TEXT CHECK (error IS NULL OR json_extract(error, '$.code') IS NOT NULL),
  warnings TEXT NOT NULL CHECK (json_type(warnings) = 'array'),
  rate_limit REAL NOT NULL CHECK (rate_limit >= 0),
  retry TEXT CHECK (json_valid(retry)),
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  ended_at INTEGER,
  seq INTEGER NOT NULL,
  -- What `q` looks through: names of model, repository and files, case folded.
  search TEXT NOT NULL,
  CHECK (total IS NULL OR bytes <= total),
  CHECK ((state IN ('downloading', 'verifying', 'creating_engine')) = (owner IS NOT NULL)),
  CHECK ((owner IS NULL) = (lease_until IS NULL)),
  CHECK ((state IN ('completed', 'failed', 'cancelled')) = (ended_at IS NOT NULL)),
  CHECK (intent IS NULL OR state NOT IN ('completed', 'failed', 'cancelled'))
) STRICT;

CREATE UNIQUE INDEX downloads_open_model ON downloads (model_id)
  WHERE state NOT IN ('completed', 'failed', 'cancelled');
CREATE UNIQUE INDEX downloads_open_source ON downloads (source_key)
  WHERE state NOT IN ('completed', 'failed', 'cancelled');
CREATE INDEX downloads_model ON downloads (model_id, n);
CREATE INDEX downloads_source ON downloads (source_key, n);
CREATE INDEX downloads_state ON downloads (state, n);
CREATE INDEX downloads_queue ON downloads (priority DESC, position, n, not_before, intent) WHERE state = 'queued';
CREATE INDEX downloads_position ON downloads (position)
  WHERE state NOT IN ('completed', 'failed', 'cancelled');
CREATE INDEX downloads_due ON downloads (not_before) WHERE state = 'queued' AND not_before IS NOT NULL;
CREATE INDEX downloads_intent ON downloads (intent) WHERE intent IS NOT NULL;
CREATE INDEX downloads_ended ON downloads (ended_at, n) WHERE ended_at IS NOT NULL;
CREATE UNIQUE INDEX downloads_seq ON downloads (seq);

CREATE TRIGGER downloads_transition BEFORE UPDATE OF state ON downloads
WHEN old.state <> new.state AND old.state || '>' || new.state NOT IN (
  'queued>downloading', 'queued>paused', 'queued>failed', 'queued>cancelled',
  'downloading>queued', 'downloading>paused', 'downloading>verifying', 'downloading>creating_engine',
  'downloading>completed', 'downloading>failed', 'downloading>cancelled',
  'verifying>queued', 'verifying>downloading', 'verifying>paused', 'verifying>creating_engine',
  'verifying>completed', 'verifying>failed', 'verifying>cancelled',
  'creating_engine>queued', 'creating_engine>completed', 'creating_engine>failed', 'creating_engine>cancelled',
  'paused>queued', 'paused>cancelled',
  'failed>queued', 'cancelled>queued')
BEGIN
  SELECT RAISE(ABORT, 'transition');
END;

CREATE TRIGGER downloads_numbered BEFORE UPDATE OF state, intent ON downloads
WHEN new.seq <= old.seq
BEGIN
  SELECT RAISE(ABORT, 'seq must grow');
END;

-- Labels once more, so that they can be found without reading every row.
CREATE TABLE labels (
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  n INTEGER NOT NULL REFERENCES downloads (n) ON DELETE CASCADE,
  PRIMARY KEY (key, value, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX labels_download ON labels (n);

CREATE TRIGGER labels_insert AFTER INSERT ON downloads WHEN new.labels <> '{}'
BEGIN
  INSERT INTO labels (key, value, n) SELECT key, value, new.n FROM json_each(new.labels);
END;

CREATE TRIGGER labels_update AFTER UPDATE OF labels ON downloads WHEN new.labels <> old.labels
BEGIN
  DELETE FROM labels WHERE n = new.n;
  INSERT INTO labels (key, value, n) SELECT key, value, new.n FROM json_each(new.labels);
END;

CREATE TABLE files (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  download_id TEXT NOT NULL REFERENCES downloads (id) ON DELETE CASCADE,
  path TEXT NOT NULL CHECK (path <> ''),
  size INTEGER CHECK (size >= 0),
  digest TEXT CHECK (digest IS NULL OR json_extract(digest, '$.hex') IS NOT NULL),
  computed TEXT CHECK (computed IS NULL OR json_extract(computed, '$.hex') IS NOT NULL),
  verified INTEGER NOT NULL CHECK (verified IN (0, 1)),
  locator TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'done', 'failed')),
  target TEXT,
  validator TEXT CHECK (json_valid(validator)),
  bytes INTEGER NOT NULL CHECK (bytes >= 0),
  error TEXT CHECK (error IS NULL OR json_extract(error, '$.code') IS NOT NULL),
  completed_at INTEGER,
  search TEXT NOT NULL,
  UNIQUE (download_id, path),
  CHECK (verified = 0 OR computed IS NOT NULL)
) STRICT;

CREATE INDEX files_target ON files (target) WHERE target IS NOT NULL;
CREATE INDEX files_done ON files (id) WHERE state = 'done';

-- What of a file is on disk: flat arrays of start and length. `written` counts only under the boot it was made under.
CREATE TABLE receipts (
  file_id INTEGER PRIMARY KEY REFERENCES files (id) ON DELETE CASCADE,
  written TEXT NOT NULL DEFAULT '[]' CHECK (json_type(written) = 'array'),
  written_boot TEXT,
  durable TEXT NOT NULL DEFAULT '[]' CHECK (json_type(durable) = 'array')
) STRICT;

-- Tombstones, so that a client that was away learns what is gone. Bounded; see meta 'forgotten_seq'.
CREATE TABLE removed (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  model_id TEXT NOT NULL
) STRICT;

CREATE TABLE settings (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL CHECK (json_valid(value))
) STRICT, WITHOUT ROWID;

CREATE TABLE engines (
  engine_id TEXT PRIMARY KEY CHECK (engine_id <> ''),
  download_id TEXT,
  path TEXT NOT NULL,
  model_type TEXT NOT NULL CHECK (model_type IN ('llm', 'embedding')),
  inference_engine TEXT NOT NULL,
  load_immediately INTEGER NOT NULL CHECK (load_immediately IN (0, 1)),
  main_gpu_id INTEGER NOT NULL,
  parameters TEXT NOT NULL CHECK (json_type(parameters) = 'object'),
  state TEXT NOT NULL CHECK (state IN ('created', 'loaded', 'failed')),
  created_at INTEGER NOT NULL
) STRICT;
