-- Two unfinished downloads never become one engine. Where two are under way to it, the first one keeps it.
UPDATE downloads SET engine = NULL, type = 'regular'
WHERE engine IS NOT NULL AND state NOT IN ('completed', 'failed', 'cancelled') AND EXISTS (
  SELECT 1 FROM downloads d
  WHERE d.n < downloads.n AND d.state NOT IN ('completed', 'failed', 'cancelled')
    AND json_extract(d.engine, '$.engineId') = json_extract(downloads.engine, '$.engineId'));
CREATE UNIQUE INDEX downloads_open_engine ON downloads (json_extract(engine, '$.engineId'))
  WHERE engine IS NOT NULL AND state NOT IN ('completed', 'failed', 'cancelled');
