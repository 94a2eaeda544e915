import { describe, expect, test } from "bun:test";
import type { Database } from "../../src/core/database.ts";
import { between, oneOf, randomOf } from "../support/random.ts";
import type { Open } from "./conformance.ts";
import { insert } from "./rows.ts";

const NEVER = Number.MAX_SAFE_INTEGER;

/** Model ids in the order in which `claim` would take them, by the places the port gives. */
async function orderOf(db: Database): Promise<string[]> {
  const rows = (await db.list({ states: ["queued"] }, { limit: 1000 })).items;
  const places = await Promise.all(
    rows.map(async (row) => [row.modelId, (await db.place(row.id))!] as const),
  );
  return places.sort((a, b) => a[1] - b[1]).map(([id]) => id);
}

async function fill(db: Database, names: string): Promise<Map<string, string>> {
  const ids = new Map<string, string>();
  for (const modelId of names) ids.set(modelId, (await insert(db, { modelId })).id);
  return ids;
}

export function queueSuite(open: Open): void {
  describe("claim", () => {
    test("takes by priority, then position; sets owner, lease and the state before", async () => {
      const db = await open();
      await insert(db, { modelId: "low", priority: -1 });
      await insert(db, { modelId: "first" });
      await insert(db, { modelId: "second" });
      await insert(db, { modelId: "high", priority: 5 });
      const taken = [];
      for (let i = 0; i < 5; i++) taken.push(await db.claim("me", 10, 500));
      expect(taken.map((row) => row?.modelId)).toEqual(["high", "first", "second", "low", undefined]);
      expect(taken[0]).toMatchObject({
        state: "downloading",
        previousState: "queued",
        owner: "me",
        leaseUntil: 500,
        notBefore: null,
        waiting: null,
        startedAt: 10,
      });
    });

    test("passes over rows that are not due, or that somebody wants paused or cancelled", async () => {
      const db = await open();
      await insert(db, { modelId: "later", notBefore: 1000, waiting: { reason: "retry", until: 1000 } });
      const wished = await insert(db, { modelId: "wished" });
      await db.setIntent(wished.id, ["queued"], "cancel");
      expect(await db.claim("me", 999, 1)).toBeUndefined();
      expect(await db.nextDue(999)).toBe(1000);
      expect(await db.nextDue(1000)).toBeUndefined();
      expect((await db.claim("me", 1000, 1))?.modelId).toBe("later");
    });

    test("F111 a wait longer than any policy allows is over: the clock was set back since", async () => {
      const db = await open();
      const hour = 3_600_000;
      await insert(db, { modelId: "asked", notBefore: 25 * hour });
      await insert(db, { modelId: "wrong clock", notBefore: 9 * 365 * 24 * hour });
      expect((await db.claim("me", 1000, 1))?.modelId).toBe("wrong clock");
      expect(await db.claim("me", 1000, 1)).toBeUndefined();
      expect((await db.claim("me", 25 * hour, 1))?.modelId).toBe("asked");
    });

    test("passes over what waits for another's files, until that one no longer fetches them", async () => {
      const db = await open();
      const one = { provider: "url", url: "https://h/", key: "content" };
      const { id } = await insert(db, { modelId: "fetches", source: one });
      await insert(db, { modelId: "waits", source: { ...one, key: "own", behind: "content" }, priority: 9 });
      expect((await db.claim("me", 10, 500))?.modelId).toBe("fetches");
      expect(await db.claim("me", 10, 500)).toBeUndefined();
      await db.update(id, {}, { state: "paused" });
      expect((await db.claim("me", 10, 500))?.modelId).toBe("waits");
    });

    test("never gives one row twice, however many ask at once", async () => {
      const db = await open();
      for (let i = 0; i < 20; i++) await insert(db);
      const taken = await Promise.all(Array.from({ length: 30 }, (_, i) => db.claim(`owner-${i}`, 0, 1)));
      const ids = taken.flatMap((row) => (row ? [row.id] : []));
      expect(ids.length).toBe(20);
      expect(new Set(ids).size).toBe(20);
    });
  });

  describe("leases", () => {
    test("recover gives back what has run out, keeps what its owner still leads", async () => {
      const db = await open();
      const a = await insert(db);
      const b = await insert(db);
      await db.claim("me", 0, 100);
      await db.claim("me", 0, 100);
      await db.update(b.id, {}, { state: "verifying" });
      expect(await db.recover(100)).toEqual([]);
      await db.heartbeat("me", 200);
      expect(await db.recover(150)).toEqual([]);
      const back = await db.recover(201);
      expect(back.map((row) => [row.id, row.state, row.previousState, row.owner, row.leaseUntil])).toEqual([
        [a.id, "queued", "downloading", null, null],
        [b.id, "queued", "verifying", null, null],
      ]);
      expect(new Set(back.map((row) => row.seq)).size).toBe(2);
      expect(await db.recover(NEVER)).toEqual([]);
    });

    test("recover names rows whose wish nobody has honoured, in whatever state they wait", async () => {
      const db = await open();
      const running = await insert(db);
      const paused = await insert(db);
      const queued = await insert(db);
      await db.update(paused.id, {}, { state: "paused" });
      await db.claim("me", 0, 1);
      await db.setIntent(running.id, ["downloading"], "pause");
      await db.setIntent(paused.id, ["paused"], "cancel");
      await db.setIntent(queued.id, ["queued"], "cancel");
      const rows = await db.recover(NEVER);
      expect(rows.map((row) => [row.id, row.state, row.intent])).toEqual([
        [running.id, "queued", "pause"],
        [paused.id, "paused", "cancel"],
        [queued.id, "queued", "cancel"],
      ]);
    });
  });

  describe("order", () => {
    test("place counts from 1 in claim order, and only what is queued", async () => {
      const db = await open();
      const ids = await fill(db, "abc");
      expect(await orderOf(db)).toEqual(["a", "b", "c"]);
      await db.update(ids.get("c")!, {}, { priority: 1 });
      expect(await orderOf(db)).toEqual(["c", "a", "b"]);
      await db.claim("me", 0, 1);
      expect(await db.place(ids.get("c")!)).toBeUndefined();
      expect(await db.place(ids.get("a")!)).toBe(1);
      expect(await db.place("nobody")).toBeUndefined();
    });

    test("F224 places are right whatever has been written since the last one was asked for", async () => {
      const db = await open();
      const next = randomOf(7);
      const rows: string[] = [];
      for (let round = 0; round < 120; round++) {
        const id = rows.length > 0 ? oneOf(next, rows) : "";
        const dice = id === "" ? 0 : between(next, 0, 9);
        if (dice < 4) rows.push((await insert(db, { priority: between(next, -1, 1) })).id);
        else if (dice === 4) await db.update(id, { states: ["queued"] }, { priority: between(next, -1, 1) });
        else if (dice === 5) await db.update(id, { states: ["queued"] }, { state: "paused" });
        else if (dice === 6) await db.update(id, { states: ["paused"] }, { state: "queued" });
        else if (dice === 7) await db.move(id, { position: between(next, 1, 8) });
        else if (dice === 8) await db.claim("me", 0, 1);
        else await db.recover(Number.MAX_SAFE_INTEGER);
        const { items } = await db.list({ states: ["queued"] }, { limit: 1000 });
        const line = items.toSorted((a, b) => b.priority - a.priority || a.position - b.position);
        const asked = oneOf(next, rows);
        const index = line.findIndex((row) => row.id === asked);
        expect(await db.place(asked)).toBe(index < 0 ? undefined : index + 1);
      }
    });

    test("places of a page come in one answer, the same as one by one", async () => {
      const db = await open();
      const ids = await fill(db, "abcdef");
      await db.update(ids.get("e")!, {}, { priority: 1 });
      await db.claim("me", 0, 1);
      await db.update(ids.get("d")!, {}, { priority: -1 });
      const asked = [..."fdbe"].map((name) => ids.get(name)!);
      const places = await db.places([...asked, "nobody"]);
      expect([..."fdbe"].map((name) => places.get(ids.get(name)!))).toEqual([4, 5, 2, undefined]);
      expect(places.size).toBe(3);
      for (const id of asked) expect(await db.place(id)).toBe(places.get(id));
      expect((await db.places([])).size).toBe(0);
    });

    test("move puts a row before, after, or at a place", async () => {
      const db = await open();
      const ids = await fill(db, "abcde");
      const id = (name: string) => ids.get(name)!;
      const moves: [string, Parameters<Database["move"]>[1], string][] = [
        ["e", { before: id("b") }, "aebcd"],
        ["a", { after: id("d") }, "ebcda"],
        ["d", { position: 1 }, "debca"],
        ["e", { position: 3 }, "dbeca"],
        ["d", { position: 99 }, "becad"],
        ["a", { after: id("a") }, "becad"],
        ["d", { before: id("b") }, "dbeca"],
      ];
      for (const [name, to, expected] of moves) {
        const before = await db.get(id(name));
        const moved = await db.move(id(name), to);
        expect(moved!.seq).toBeGreaterThan(before!.seq);
        expect((await orderOf(db)).join("")).toBe(expected);
      }
    });

    test("move takes on a priority where it must, and no more of it than it must", async () => {
      const db = await open();
      const high = await insert(db, { modelId: "h", priority: 5 });
      const low = await insert(db, { modelId: "l", priority: -5 });
      const row = await insert(db, { modelId: "m" });
      expect(await db.move(row.id, { after: high.id })).toMatchObject({ priority: 0 });
      expect(await db.move(row.id, { before: high.id })).toMatchObject({ priority: 5 });
      expect(await orderOf(db)).toEqual(["m", "h", "l"]);
      expect(await db.move(row.id, { after: low.id })).toMatchObject({ priority: -5 });
      expect(await orderOf(db)).toEqual(["h", "l", "m"]);
    });

    test("move answers undefined when either is not waiting", async () => {
      const db = await open();
      const [a, b] = [await insert(db), await insert(db)];
      await db.update(b.id, {}, { state: "paused" });
      expect(await db.move(a.id, { before: b.id })).toBeUndefined();
      expect(await db.move(b.id, { before: a.id })).toBeUndefined();
      expect(await db.move(a.id, { after: "nobody" })).toBeUndefined();
    });

    test("a thousand moves into one gap keep the order", async () => {
      const db = await open();
      const names = "abcdefgh";
      const ids = await fill(db, names);
      const rest = [..."cdefgh"];
      let expected = [...names];
      for (let i = 0; i < 1000; i++) {
        const name = rest[i % rest.length]!;
        await db.move(ids.get(name)!, { after: ids.get("a")! });
        expected = ["a", name, ...expected.filter((n) => n !== "a" && n !== name)];
      }
      expect(await orderOf(db)).toEqual(expected);
      expect((await insert(db, { modelId: "new" })).id).toBeString();
      expect((await orderOf(db)).at(-1)).toBe("new");
    }, 30_000);
  });
}
