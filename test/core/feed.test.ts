import { expect, test } from "bun:test";
import type { Download } from "../../src/core/download.ts";
import { Feed, type FeedEvent, type Snapshot } from "../../src/core/feed.ts";
import { openProduct } from "../support/product.ts";

/** A feed over rows that are only numbered. */
function world() {
  let seq = 0;
  const db = {
    nextSeq: () => ++seq,
    get: async () => undefined,
    changes: () => Promise.reject(new Error("unused")),
  };
  const feed = new Feed(db, async (row: Download) => row as Snapshot);
  const events: FeedEvent[] = [];
  const unsubscribe = feed.subscribe((event) => void events.push(event));
  const row = (state: Snapshot["state"], previousState: Snapshot["previousState"], number = db.nextSeq()) =>
    ({ id: "a", state, previousState, seq: number }) as Snapshot;
  const told = () =>
    events.map(
      (event) => event.type === "download" && [event.previousState, event.download.state, event.stateChanged],
    );
  return { feed, events, row, told, unsubscribe };
}

test("F221 a row acknowledged late is not told after a newer one", () => {
  const { feed, row, told } = world();
  const queued = row("queued", null);
  feed.changed(row("downloading", "queued"), true);
  feed.changed(queued, true);
  expect(told()).toEqual([["queued", "downloading", true]]);
});

test("F221 a change overtaken by a write that changed no state is still told as a change", () => {
  const { feed, row, told } = world();
  feed.changed(row("queued", null), true);
  const claimed = row("downloading", "queued");
  feed.changed(row("downloading", "queued"), false);
  feed.changed(claimed, true);
  expect(told()).toEqual([
    [null, "queued", true],
    ["queued", "downloading", true],
  ]);
});

test("F221 progress shows what others wrote to the row meanwhile, and nothing once its state has moved on", () => {
  const { feed, events, row } = world();
  const running = { ...row("downloading", "queued"), priority: 0, bytes: 1 } as Snapshot;
  feed.changed(running, true);
  feed.changed({ ...row("downloading", "queued"), priority: 7, bytes: 1 } as Snapshot, false);
  feed.progressed({ ...running, bytes: 5 });
  expect(events.at(-1)).toMatchObject({ stateChanged: false, download: { priority: 7, bytes: 5 } });
  feed.changed(row("paused", "downloading"), true);
  const { length } = events;
  feed.progressed({ ...running, bytes: 6 });
  expect(events.length).toBe(length);
});

test("F221 with many starts and retries at once no download goes back in time", async () => {
  await using product = await openProduct({ settings: { maxConcurrent: 50 } });
  const newest = new Map<string, number>();
  const wrong: string[] = [];
  let last = 0;
  product.downloads.feed.subscribe((event) => {
    if (event.seq <= last) wrong.push(`number ${event.seq} after ${last}`);
    last = event.seq;
    if (event.type !== "download") return;
    const { id, seq, state } = event.download;
    if (seq < (newest.get(id) ?? 0)) wrong.push(`${state} of row ${seq} after row ${newest.get(id)}`);
    newest.set(id, seq);
  });
  const retry = { maxAttempts: 2, baseMs: 1, maxMs: 2 };
  const started = await Promise.all(
    Array.from({ length: 200 }, (_, i) =>
      product.downloads.start({ url: `http://127.0.0.1:9/${i}`, modelId: `m${i}`, retry }),
    ),
  );
  await Promise.all(started.map(({ download }) => product.reaches(download.id, "failed")));
  expect(wrong).toEqual([]);
});

test("F226 of a download that waits or has ended no more is kept than its state and number", async () => {
  const { feed, row, unsubscribe } = world();
  unsubscribe();
  const kept: WeakRef<Snapshot>[] = [];
  const tell = (id: string, state: Snapshot["state"]): void => {
    const download = { ...row(state, null), id };
    kept.push(new WeakRef(download));
    feed.changed(download, true);
  };
  // The newest event is somebody's, and the stack may hold a few.
  for (let i = 0; i < 200; i++) tell(`queued ${i}`, "queued");
  for (let i = 0; i < 200; i++) tell(`cancelled ${i}`, "cancelled");
  await new Promise((resolve) => setImmediate(resolve));
  Bun.gc(true);
  expect(kept.filter((ref) => ref.deref() !== undefined).length).toBeLessThan(40);
});

test("F226 F221 what has ended is remembered long enough, and not for ever", () => {
  const { feed, events, row } = world();
  const late = { ...row("queued", null), id: "late" };
  feed.changed({ ...row("cancelled", "queued"), id: "late" }, true);
  for (let i = 0; i < 1000; i++) feed.changed({ ...row("cancelled", "queued"), id: `other ${i}` }, true);
  const { length } = events;
  feed.changed(late, true);
  expect(events.length).toBe(length);
  for (let i = 0; i < 20_000; i++) feed.changed({ ...row("cancelled", "queued"), id: `more ${i}` }, true);
  expect(feed.remembered).toBeLessThan(10_000);
});
