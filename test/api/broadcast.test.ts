import { describe, expect, test } from "bun:test";
import { Broadcast, type Reader } from "../../src/api/broadcast.ts";
import type { Frame } from "../../src/api/frames.ts";
import { systemClock } from "../../src/core/clock.ts";
import type { Download } from "../../src/core/download.ts";
import { Feed, type Snapshot } from "../../src/core/feed.ts";
import { snapshot } from "./snapshots.ts";

/** The core's own feed over rows in memory, with a gate before each read. */
function world() {
  const rows = new Map<string, Snapshot>();
  let seq = 0;
  let gate: Promise<void> = Promise.resolve();
  let reads = 0;
  const db = {
    nextSeq: () => ++seq,
    get: async (id: string) => rows.get(id),
    changes: async (since: number) => ({
      downloads: [...rows.values()].filter((row) => row.seq > since),
      removed: [],
      gap: false,
    }),
  };
  const feed = new Feed(db, async (row: Download) => row as Snapshot);
  const source = {
    feed,
    active: async () => {
      reads++;
      const now = [...rows.values()];
      await gate;
      return now;
    },
    find: async (id: string) => rows.get(id),
  };
  const write = (id: string, changes: Partial<Snapshot> = {}) => {
    const row = snapshot({ ...rows.get(id), id, modelId: id, ...changes, seq: db.nextSeq() });
    rows.set(id, row);
    feed.changed(row, changes.state !== undefined);
    return row;
  };
  const progress = (id: string, bytes: number) => {
    const row = { ...(rows.get(id) as Snapshot), bytes };
    rows.set(id, row);
    feed.progressed(row);
  };
  const hold = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    return resolve;
  };
  return { source, feed, write, progress, hold, reads: () => reads };
}

class TestReader implements Reader {
  readonly owner: string | null = null;
  readonly frames: Frame[] = [];
  ended = 0;
  readonly #ids: ReadonlySet<string> | null;
  constructor(ids: ReadonlySet<string> | null = null) {
    this.#ids = ids;
  }
  wants = (id: string) => this.#ids === null || this.#ids.has(id);
  push = (frame: Frame) => void this.frames.push(frame);
  heartbeat = () => {};
  end = () => void this.ended++;
  get seen(): string[] {
    return this.frames.map(({ type, seq, id }) => (type === "snapshot" ? type : `${id} ${seq}`));
  }
}

async function join(broadcast: Broadcast, since?: number, ids: Set<string> | null = null) {
  const reader = new TestReader(ids);
  let leave = () => {};
  await broadcast.catchUp(ids, since, (frames) => {
    leave = broadcast.add(reader);
    for (const frame of frames) reader.push(frame);
  });
  return { reader, leave };
}

describe("the feed fanned out", () => {
  test("F221 each reader gets a snapshot, then everything after it in order", async () => {
    const { source, write, progress } = world();
    write("a");
    const broadcast = new Broadcast(source, systemClock);
    const { reader, leave } = await join(broadcast);
    progress("a", 2_000_000);
    write("a", { state: "paused" });
    const [first, ...rest] = reader.frames;
    expect(first?.type).toBe("snapshot");
    expect(rest.map(({ seq }) => seq)).toEqual(rest.map((_, i) => (first?.seq ?? 0) + i + 1));
    expect(JSON.parse(rest[1]?.text ?? "")).toMatchObject({
      type: "download",
      download: { state: "paused" },
    });
    leave();
  });

  test("a frame is encoded once for all readers of a transport", async () => {
    const { source, write } = world();
    const broadcast = new Broadcast(source, systemClock);
    const { reader: a, leave } = await join(broadcast);
    const { reader: b, leave: leaveB } = await join(broadcast);
    write("a", { state: "queued" });
    expect(a.frames.at(-1)).toBe(b.frames.at(-1) as Frame);
    expect(a.frames.at(-1)?.event).toBe(b.frames.at(-1)?.event as Uint8Array);
    leave();
    leaveB();
  });

  test("what happens while a snapshot is read is neither lost nor told twice", async () => {
    const { source, write, progress, hold } = world();
    write("a");
    write("b");
    const broadcast = new Broadcast(source, systemClock);
    progress("a", 2_000_000);
    const release = hold();
    const joining = join(broadcast);
    await Bun.sleep(0);
    const early = write("c", { state: "queued" }).seq;
    progress("a", 3_000_000);
    release();
    const { reader, leave } = await joining;
    const last = write("b", { state: "paused" }).seq;
    expect(reader.seen).toEqual(["snapshot", `c ${early}`, `a ${early + 1}`, `b ${last}`]);
    leave();
  });

  test("progress that the snapshot already shows does not go back", async () => {
    const { source, write, progress } = world();
    write("a", { bytes: 100 });
    const broadcast = new Broadcast(
      {
        ...source,
        active: async () => {
          const rows = await source.active();
          progress("a", 200);
          return rows.map((row) => ({ ...row, bytes: 300 }));
        },
      },
      systemClock,
    );
    const { reader, leave } = await join(broadcast);
    expect(reader.seen).toEqual(["snapshot"]);
    leave();
  });

  test("F211 F221 a long snapshot comes in parts, each download once, and what happens afterwards behind them", async () => {
    const { source, write } = world();
    const ids = Array.from({ length: 250 }, (_, i) => `d${i}`);
    for (const id of ids) write(id);
    const broadcast = new Broadcast(source, systemClock);
    const { reader, leave } = await join(broadcast);
    write("d7", { state: "paused" });
    expect(reader.frames.map(({ type }) => type)).toEqual(["snapshot", "snapshot", "snapshot", "download"]);
    const parts = reader.frames.slice(0, 3).map(({ text }) => JSON.parse(text));
    expect(parts.map(({ more }) => more)).toEqual([true, true, undefined]);
    expect(new Set(parts.map(({ seq }) => seq)).size).toBe(1);
    expect(parts.flatMap(({ downloads }) => downloads.map(({ id }: { id: string }) => id))).toEqual(ids);
    leave();
  });

  test("F219 only the last part of a snapshot is a number to go on after", async () => {
    const { source, write } = world();
    for (let i = 0; i < 101; i++) write(`d${i}`);
    const { reader, leave } = await join(new Broadcast(source, systemClock));
    const events = reader.frames.map(({ event }) => new TextDecoder().decode(event));
    expect(events.map((event) => /^id: (\d+)$/m.exec(event)?.[1])).toEqual([
      undefined,
      String(reader.frames.at(-1)?.seq),
    ]);
    leave();
  });

  test("F211 a part of a snapshot is written only when a reader takes it", async () => {
    const { source, write } = world();
    for (let i = 0; i < 300; i++) write(`d${i}`);
    const { reader, leave } = await join(new Broadcast(source, systemClock));
    expect(reader.frames.map(({ size }) => size)).toEqual([0, 0, 0]);
    leave();
  });

  test("F218 readers who come together share one snapshot", async () => {
    const { source, write, reads } = world();
    write("a");
    const broadcast = new Broadcast(source, systemClock);
    const all = await Promise.all(Array.from({ length: 50 }, () => join(broadcast)));
    expect(reads()).toBeLessThan(3);
    expect(new Set(all.map(({ reader }) => reader.frames[0]?.event)).size).toBeLessThan(3);
    for (const { leave } of all) leave();
  });

  test("coming back after a number tells what was missed, from memory or from the rows", async () => {
    const { source, write, feed } = world();
    const before = feed.seq;
    const first = write("a", { state: "queued" }).seq;
    const broadcast = new Broadcast(source, systemClock);
    const { reader: old, leave: leaveOld } = await join(broadcast, before);
    expect(old.seen).toEqual([`a ${first}`]);
    const second = write("a", { state: "downloading" }).seq;
    const third = write("a", { state: "paused" }).seq;
    const { reader, leave } = await join(broadcast, first);
    expect(reader.seen).toEqual([`a ${second}`, `a ${third}`]);
    const { reader: future, leave: leaveFuture } = await join(broadcast, 999_999);
    expect(future.seen).toEqual(["snapshot"]);
    for (const go of [leaveOld, leave, leaveFuture]) go();
  });

  test("a reader of one download hears of no other", async () => {
    const { source, write } = world();
    write("a");
    write("b");
    const broadcast = new Broadcast(source, systemClock);
    const { reader, leave } = await join(broadcast, undefined, new Set(["a"]));
    const seq = write("a", { state: "paused" }).seq;
    write("b", { state: "paused" });
    expect(reader.seen).toEqual(["snapshot", `a ${seq}`]);
    expect(JSON.parse(reader.frames[0]?.text ?? "").downloads.map((d: { id: string }) => d.id)).toEqual([
      "a",
    ]);
    leave();
  });

  test("F217 with the last reader the feed is let go of", async () => {
    const { source, feed } = world();
    const broadcast = new Broadcast(source, systemClock);
    const joined = await Promise.all([join(broadcast), join(broadcast)]);
    expect([broadcast.readers, feed.subscribers]).toEqual([2, 1]);
    for (const { leave } of joined) leave();
    expect([broadcast.readers, feed.subscribers]).toEqual([0, 0]);
  });

  test("a failing read reaches who asked, and nothing stays behind", async () => {
    const { source, feed } = world();
    const active = () => Promise.reject(new Error("no database"));
    const broadcast = new Broadcast({ ...source, active }, systemClock);
    expect(await join(broadcast).catch((error) => String(error))).toContain("no database");
    expect(feed.subscribers).toBe(0);
  });

  test("F213 beyond the limit a reader is refused", async () => {
    const { source } = world();
    const broadcast = new Broadcast(source, systemClock, { maxReaders: 1 });
    const { leave } = await join(broadcast);
    expect(() => broadcast.checkRoom()).toThrow("Too many live connections");
    leave();
    broadcast.checkRoom();
  });
});
