import { describe, expect, test } from "bun:test";
import { type Frame, frameOf, snapshotFrames } from "../../src/api/frames.ts";
import { Outbox } from "../../src/api/outbox.ts";
import type { State } from "../../src/core/download.ts";
import { TestClock } from "../support/clock.ts";
import { snapshot } from "./snapshots.ts";

const clockNow = () => 0;

/** A frame of download `id`: progress, or a change to `state`. */
function frame(seq: number, id: string, state?: State): Frame {
  const download = snapshot({ id, modelId: id, ...(state && { state }) });
  const stateChanged = state !== undefined;
  return frameOf({ type: "download", seq, stateChanged, previousState: null, download }, clockNow);
}

/** A reader that takes `room` frames at a time. */
function reader(room: number) {
  const clock = new TestClock();
  const seen: number[] = [];
  const state = { room, cuts: 0 };
  const sink = {
    send(it: Frame) {
      seen.push(it.seq);
      state.room--;
      return state.room > 0;
    },
    cut: () => void state.cuts++,
  };
  const outbox = new Outbox(sink, clock.monotonic);
  const take = (more: number) => {
    state.room = more;
    outbox.drained();
  };
  return { outbox, seen, state, clock, take };
}

describe("what waits for a reader", () => {
  test("a reader that keeps up gets every frame", () => {
    const { outbox, seen } = reader(1000);
    for (let seq = 1; seq <= 100; seq++) outbox.push(frame(seq, "a"));
    expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
    expect(outbox.isFlowing).toBe(true);
  });

  test("F211 the parts of a snapshot wait in order before what happens after it, and fill nothing", async () => {
    const { outbox, seen, state, clock, take } = reader(1);
    const downloads = Array.from({ length: 1000 }, (_, i) => snapshot({ id: `d${i}`, modelId: `d${i}` }));
    for (const part of snapshotFrames(1, downloads, 0)) outbox.push(part);
    outbox.push(frame(2, "d3", "paused"));
    outbox.push(frame(3, "d999", "paused"));
    expect(seen).toEqual([1]);
    expect(outbox.bytes).toBe(frame(2, "d3", "paused").size + frame(3, "d999", "paused").size);
    await clock.advance(6_000);
    outbox.checkStuck();
    expect(state.cuts).toBe(0);
    for (let part = 2; part <= 10; part++) take(1);
    expect(seen).toEqual(Array.from({ length: 10 }, () => 1));
    take(100);
    expect(seen.slice(10)).toEqual([2, 3]);
  });

  test("F220 for a slow one the newest progress replaces the one before, no state change is lost, order is kept", () => {
    const { outbox, seen, take } = reader(1);
    outbox.push(frame(1, "a"));
    outbox.push(frame(2, "a"));
    outbox.push(frame(3, "a"));
    outbox.push(frame(4, "a", "paused"));
    outbox.push(frame(5, "b"));
    outbox.push(frame(6, "a", "queued"));
    outbox.push(frame(7, "b"));
    expect(seen).toEqual([1]);
    take(100);
    expect(seen).toEqual([1, 3, 4, 6, 7]);
    outbox.push(frame(8, "a"));
    expect(seen.at(-1)).toBe(8);
  });

  test("F214 beyond 64 KiB only the newest of each download waits: the buffer stays bounded", () => {
    const { outbox, seen, take } = reader(1);
    outbox.push(frame(1, "a", "downloading"));
    for (let seq = 2; seq <= 2000; seq++)
      outbox.push(frame(seq, seq % 2 ? "a" : "b", seq % 4 ? "paused" : "queued"));
    expect(outbox.bytes).toBeLessThan(64 * 1024);
    take(100);
    expect(seen).toEqual([1, 1999, 2000]);
    expect(outbox.bytes).toBe(0);
  });

  test("a reader drained piece by piece gets the rest in order", () => {
    const { outbox, seen, take } = reader(1);
    for (let seq = 1; seq <= 6; seq++) outbox.push(frame(seq, "a", "paused"));
    take(2);
    take(1);
    take(9);
    expect(seen).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("F214 a stuck reader is cut, after 20 s, or 5 s with a full buffer, and gets nothing more", async () => {
    const idle = reader(1);
    idle.outbox.push(frame(1, "a"));
    await idle.clock.advance(19_000);
    idle.outbox.checkStuck();
    expect(idle.state.cuts).toBe(0);
    await idle.clock.advance(1_001);
    idle.outbox.checkStuck();
    idle.outbox.checkStuck();
    expect(idle.state.cuts).toBe(1);
    idle.outbox.push(frame(2, "a"));
    idle.outbox.drained();
    expect(idle.seen).toEqual([1]);

    const full = reader(1);
    for (let seq = 1; seq < 200; seq++) full.outbox.push(frame(seq, `download ${seq}`));
    expect(full.state.cuts).toBe(0);
    await full.clock.advance(5_001);
    full.outbox.push(frame(200, "a"));
    expect(full.state.cuts).toBe(1);
    expect(full.outbox.bytes).toBe(0);
  });
});
