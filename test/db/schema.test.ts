import { Database as Sqlite } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { canMove, isFinished, isRunning, STATES, type State } from "../../src/core/download.ts";
import { migrate, STEPS, versionOf } from "../../src/db/migrate.ts";

function fresh(): Sqlite {
  const db = new Sqlite(":memory:");
  db.run("PRAGMA foreign_keys = ON");
  migrate(db);
  return db;
}

let seq = 0;

/** A row of `downloads` in this state that keeps every constraint, with some columns replaced by SQL. */
function insertRow(db: Sqlite, state: State, over: Record<string, string> = {}): string {
  const id = `id-${++seq}`;
  const values: Record<string, string> = {
    id: `'${id}'`,
    model_id: `'m-${id}'`,
    type: "'regular'",
    source: `'{"provider":"url","key":"${id}","url":"https://h/"}'`,
    layout: "'flat'",
    state: `'${state}'`,
    priority: "0",
    position: "1",
    attempt: "0",
    owner: isRunning(state) ? "'me'" : "NULL",
    lease_until: isRunning(state) ? "1" : "NULL",
    bytes: "0",
    files_total: "1",
    files_done: "0",
    average_bps: "0",
    labels: "'{}'",
    model_type: "'llm'",
    warnings: "'[]'",
    rate_limit: "0",
    created_at: "0",
    ended_at: isFinished(state) ? "1" : "NULL",
    seq: String(seq),
    search: "''",
    ...over,
  };
  db.run(`INSERT INTO downloads (${Object.keys(values)}) VALUES (${Object.values(values)})`);
  return id;
}

function move(db: Sqlite, id: string, to: State): void {
  const owner = isRunning(to) ? "'me', lease_until = 1" : "NULL, lease_until = NULL";
  const ended = isFinished(to) ? "1" : "NULL";
  db.run(`UPDATE downloads SET state = ?, owner = ${owner}, ended_at = ${ended}, seq = ? WHERE id = ?`, [
    to,
    ++seq,
    id,
  ]);
}

describe("the schema says what core says", () => {
  for (const from of STATES) {
    test(`transitions from ${from} are those of TRANSITIONS, no more and no fewer`, () => {
      const db = fresh();
      const allowed = STATES.filter((to) => {
        const id = insertRow(db, from);
        try {
          move(db, id, to);
          return true;
        } catch (error) {
          expect(String(error)).toContain("transition");
          return false;
        }
      });
      expect(allowed).toEqual(STATES.filter((to) => to === from || canMove(from, to)));
      db.close();
    });
  }

  test("states are those of STATES", () => {
    const db = fresh();
    for (const state of STATES) insertRow(db, state);
    expect(() => insertRow(db, "queued", { state: "'waiting'" })).toThrow("CHECK");
    expect(() => insertRow(db, "queued", { previous_state: "'waiting'" })).toThrow("CHECK");
    db.close();
  });

  const refused: [string, State, Record<string, string>][] = [
    ["a running state has an owner", "downloading", { owner: "NULL", lease_until: "NULL" }],
    ["an owner has a lease", "downloading", { lease_until: "NULL" }],
    ["a queued row has no owner", "queued", { owner: "'me'", lease_until: "1" }],
    ["bytes do not pass the total", "queued", { bytes: "2", total: "1" }],
    ["bytes are not negative", "queued", { bytes: "-1" }],
    ["bytes are whole", "queued", { bytes: "1.5" }],
    ["an end has a time", "completed", { ended_at: "NULL" }],
    ["what has not ended has none", "paused", { ended_at: "1" }],
    ["a wish is pause or cancel", "queued", { intent: "'resume'" }],
    ["what has ended has no wish", "failed", { intent: "'cancel'" }],
    ["the source is JSON", "queued", { source: "'{'" }],
    ["the source has a key", "queued", { source: `'{"provider":"url"}'` }],
    ["labels are an object", "queued", { labels: "'[]'" }],
    ["warnings are an array", "queued", { warnings: "'{}'" }],
    ["an error has a code", "failed", { error: `'{"message":"x"}'` }],
    ["waiting is JSON", "queued", { waiting: "'disk'" }],
    ["the layout is known", "queued", { layout: "'other'" }],
    ["the id is not empty", "queued", { id: "''" }],
    ["the model id is not empty", "queued", { model_id: "''" }],
  ];
  test.each(refused)("constraint: %s", (_, state, over) => {
    const db = fresh();
    insertRow(db, state);
    expect(() => insertRow(db, state, over)).toThrow(/CHECK|NOT NULL|cannot store|malformed JSON/);
    db.close();
  });

  test("one model id and one source among unfinished rows, any number among finished", () => {
    const db = fresh();
    const model = { model_id: "'same'" };
    const source = { source: `'{"provider":"url","key":"same","url":"u"}'` };
    for (const same of [model, source]) {
      insertRow(db, "completed", same);
      insertRow(db, "failed", same);
      insertRow(db, "paused", same);
      expect(() => insertRow(db, "queued", same)).toThrow("UNIQUE");
    }
    db.close();
  });

  test("a change of state or wish without a newer number is refused", () => {
    const db = fresh();
    const id = insertRow(db, "queued");
    expect(() => db.run("UPDATE downloads SET state = 'paused' WHERE id = ?", [id])).toThrow("seq");
    expect(() => db.run("UPDATE downloads SET intent = 'pause' WHERE id = ?", [id])).toThrow("seq");
    db.close();
  });
});

describe("migrations", () => {
  const steps = ["CREATE TABLE a (x) STRICT", "CREATE TABLE b (x); INSERT INTO b VALUES (1), (2)"].map((s) =>
    s.replace(" STRICT", ""),
  );

  test("F108 a step that fails half way leaves nothing of itself and can be rerun", () => {
    const db = new Sqlite(":memory:");
    const broken = [steps[0]!, `${steps[1]}; INSERT INTO nowhere VALUES (1)`];
    expect(() => migrate(db, broken)).toThrow("nowhere");
    expect(versionOf(db)).toBe(1);
    expect(db.query("SELECT name FROM sqlite_schema").values()).toEqual([["a"]]);
    migrate(db, steps);
    expect(versionOf(db)).toBe(2);
    expect(db.query("SELECT count(*) FROM b").values()).toEqual([[2]]);
    db.close();
  });

  test("rerun on an up-to-date database they do nothing", () => {
    const db = fresh();
    insertRow(db, "queued");
    const before = db.query("SELECT * FROM sqlite_schema").values();
    migrate(db);
    expect(versionOf(db)).toBe(STEPS.length);
    expect(db.query("SELECT * FROM sqlite_schema").values()).toEqual(before);
    expect(db.query("SELECT count(*) FROM downloads").values()).toEqual([[1]]);
    db.close();
  });
});

const byText = (a: unknown, b: unknown): number => (String(a) < String(b) ? -1 : 1);

test("of two unfinished downloads that were to become one engine, the first keeps it", () => {
  const db = new Sqlite(":memory:");
  migrate(db, STEPS.slice(0, 4));
  const engine = (id: string) => `'{"engineId":"${id}"}'`;
  const rows = [
    insertRow(db, "completed", { engine: engine("a"), type: "'startup'" }),
    insertRow(db, "downloading", { engine: engine("a"), type: "'startup'" }),
    insertRow(db, "queued", { engine: engine("a"), type: "'startup'" }),
    insertRow(db, "queued", { engine: engine("b"), type: "'startup'" }),
  ];
  migrate(db);
  const after = rows.map((id) => db.query("SELECT engine, type FROM downloads WHERE id = ?").values(id)[0]);
  expect(after).toEqual([
    [`{"engineId":"a"}`, "startup"],
    [`{"engineId":"a"}`, "startup"],
    [null, "regular"],
    [`{"engineId":"b"}`, "startup"],
  ]);
});

test("a database of the first schema keeps its rows and learns the new layout and engine states", () => {
  const db = new Sqlite(":memory:");
  migrate(db, STEPS.slice(0, 1));
  db.run("PRAGMA foreign_keys = ON");
  const id = insertRow(db, "queued", { labels: `'{"a":"b"}'` });
  db.run(`INSERT INTO files (download_id, path, verified, locator, state, bytes, search)
    VALUES ('${id}', 'f', 0, '', 'pending', 0, '')`);
  const parts = () => db.query("SELECT type, name FROM sqlite_schema ORDER BY type, name").values();
  const before = parts();
  db.run(`INSERT INTO engines VALUES ('e', NULL, '/m', 'llm', 'llama', 1, 0, '{"n":1}', 'loaded', 7)`);
  migrate(db);
  const added = ["downloads_open_engine", "downloads_unfinished"].map((name) => ["index", name]);
  expect(parts()).toEqual([...before, ...added].sort(byText));
  expect(db.query("SELECT * FROM labels").all()).toHaveLength(1);
  expect(db.query("SELECT * FROM files").all()).toHaveLength(1);
  expect(db.query("PRAGMA foreign_key_check").all()).toEqual([]);
  expect(db.query("SELECT * FROM engines").all()).toEqual([
    expect.objectContaining({ engine_id: "e", state: "loaded", endpoint: null, created_at: 7 }) as unknown,
  ]);
  db.run("UPDATE downloads SET layout = 'ollama', seq = seq + 1 WHERE id = ?", [id]);
  expect(() => db.run("UPDATE downloads SET layout = 'other' WHERE id = ?", [id])).toThrow("CHECK");
  expect(db.query("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
});

test("files of an earlier schema have not been verified again yet, and how their partial files were left is unknown", () => {
  const db = new Sqlite(":memory:");
  migrate(db, STEPS.slice(0, 5));
  const id = insertRow(db, "queued");
  db.run(`INSERT INTO files (download_id, path, verified, locator, state, bytes, search)
    VALUES ('${id}', 'f', 0, '', 'pending', 0, '')`);
  migrate(db);
  expect(db.query("SELECT path, checked, partial FROM files").values()).toEqual([["f", null, null]]);
  db.run(`UPDATE files SET checked = '{"at":7,"matches":false}'`);
  for (const column of ["checked", "partial"])
    expect(() => db.run(`UPDATE files SET ${column} = '{}'`)).toThrow("CHECK");
});
