import { afterEach, describe, expect, test } from "bun:test";
import { effect } from "@preact/signals";
import {
  clear,
  counters,
  drop,
  flush,
  isLoaded,
  onChange,
  order,
  peek,
  pretend,
  put,
  replaceAll,
  row,
  sampleSpeed,
  speedHistory,
  sums,
} from "../../web/state/store.ts";
import { download } from "./item.ts";

afterEach(clear);

describe("the store", () => {
  test("an update draws one row and not the list", () => {
    replaceAll([download({ id: "a", state: "downloading" }), download({ id: "b", state: "downloading" })]);
    const drawn = { a: 0, b: 0, list: 0 };
    const ends = [
      effect(() => {
        row("a").value;
        drawn.a += 1;
      }),
      effect(() => {
        row("b").value;
        drawn.b += 1;
      }),
      effect(() => {
        order.value;
        drawn.list += 1;
      }),
    ];
    for (let speed = 1; speed <= 100; speed += 1) put(download({ id: "a", state: "downloading", speed }));
    flush();
    expect(drawn).toEqual({ a: 2, b: 1, list: 1 });
    expect(sums.value.speed).toBe(100);
    for (const end of ends) end();
  });

  test("what only counts downloads is not drawn again because they move", () => {
    const moving = (speed: number) => download({ id: "a", state: "downloading", speed });
    replaceAll([moving(1), download({ id: "b" })]);
    const drawn = { counts: 0, sums: 0 };
    const ends = [
      effect(() => {
        counters.value;
        drawn.counts += 1;
      }),
      effect(() => {
        sums.value;
        drawn.sums += 1;
      }),
    ];
    for (const speed of [2, 3]) {
      put(moving(speed));
      expect(flush()).toBe(1);
    }
    expect(flush()).toBe(0);
    expect(drawn).toEqual({ counts: 1, sums: 3 });
    put(download({ id: "b", state: "downloading" }));
    flush();
    expect([drawn.counts, counters.value.filters.active]).toEqual([2, 2]);
    for (const end of ends) end();
  });

  test("a row that is not there yet comes, and is undefined once it is gone", () => {
    const seen: (string | undefined)[] = [];
    const end = effect(() => {
      seen.push(row("x").value?.state);
    });
    put(download({ id: "x", state: "paused" }));
    flush();
    drop("x");
    flush();
    end();
    expect(seen).toEqual([undefined, "paused", undefined]);
    expect(order.value).toEqual([]);
  });

  test("what a command will do is shown at once; progress does not undo it, the server's word does", () => {
    const id = "p";
    replaceAll([download({ id, state: "downloading" })]);
    const state = () => {
      flush();
      return peek(id)?.state;
    };
    const end = pretend(id, { state: "paused" });
    expect(state()).toBe("paused");
    put(download({ id, state: "downloading", speed: 9 }));
    expect(state()).toBe("paused");
    end();
    expect(state()).toBe("downloading");
    expect(peek(id)?.speed).toBe(9);
    pretend(id, { state: "paused" });
    put(download({ id, state: "completed" }));
    expect(state()).toBe("completed");
  });

  test("R135 places in the queue follow who leaves, without being told", () => {
    const queued = (id: string, position?: number) =>
      download({ id, state: "queued", ...(position === undefined ? {} : { position }) });
    replaceAll([queued("a", 1), queued("b", 2), queued("c", 3)]);
    put(download({ id: "a", state: "downloading" }));
    put(queued("new"));
    flush();
    expect(["b", "c", "new"].map((id) => peek(id)?.position)).toEqual([1, 2, 3]);
    put(queued("new", 1));
    flush();
    expect(order.value).toEqual(["a", "new", "b", "c"]);
    // Live events do not say the place: it is not forgotten.
    put(queued("b"));
    flush();
    expect(peek("b")?.position).toBe(2);
  });

  test("a whole list takes away what is not in it, but for what is kept", () => {
    expect(isLoaded.value).toBe(false);
    replaceAll([download({ id: "old" }), download({ id: "kept" })]);
    replaceAll([download({ id: "new" })], ({ id }) => id === "kept");
    expect(isLoaded.value).toBe(true);
    expect([...order.value].sort()).toEqual(["kept", "new"]);
    expect(counters.value.total).toBe(2);
  });

  test("changes are told with what was before", () => {
    const told: string[] = [];
    const end = onChange((after, before) => told.push(`${before?.state} ${after.state}`));
    put(download({ id: "t", state: "downloading" }));
    flush();
    put(download({ id: "t", state: "completed" }));
    flush();
    put(download({ id: "u", state: "queued" }));
    put(download({ id: "u", state: "failed" }));
    flush();
    end();
    expect(told).toEqual(["undefined downloading", "downloading completed", "queued failed"]);
  });

  test("ten thousand downloads come, move and go in moments", () => {
    const many = Array.from({ length: 10_000 }, (_, index) =>
      download({ id: `m-${index}`, state: "queued", position: index + 1 }),
    );
    replaceAll(many);
    expect(order.value.length).toBe(10_000);
    for (const { id } of many.slice(0, 20)) put(download({ id, state: "downloading", speed: 1 }));
    flush();
    expect(order.value.slice(0, 20).every((id) => peek(id)?.state === "downloading")).toBe(true);
    expect(peek("m-20")?.position).toBe(1);
    expect(peek("m-9999")?.position).toBe(9_980);
    expect([counters.value.total, sums.value.speed]).toEqual([10_000, 20]);
    replaceAll([]);
    expect(counters.value.total).toBe(0);
  });

  test("the speed of five minutes is kept", () => {
    put(download({ id: "s", state: "downloading", speed: 42 }));
    flush();
    for (let second = 0; second < 400; second += 1) sampleSpeed(second * 1000);
    expect(speedHistory.value.length).toBe(300);
    expect(speedHistory.value.at(-1)).toEqual({ at: 399_000, speed: 42 });
  });
});
