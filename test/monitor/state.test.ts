import { describe, expect, test } from "bun:test";
import { drawn, layout, stepOf } from "../../web/parts/window.ts";
import { sentence } from "../../web/shell/sentences.ts";
import { lookOf } from "../../web/shell/titles.ts";
import { arrange, isMoved, isRestless, matcher, type View } from "../../web/state/order.ts";
import { Queue } from "../../web/state/queue.ts";
import { href, parseRoute } from "../../web/state/route.ts";
import { count, noSums } from "../../web/state/tally.ts";
import { download } from "./item.ts";

const VIEW: View = { filter: "all", search: "", sort: "queue", descending: false };

describe("order", () => {
  const all = [
    download({ id: "done", state: "completed", timing: { start_time: 1, elapsed_seconds: 1, end_time: 50 } }),
    download({ id: "bad", state: "failed", timing: { start_time: 2, elapsed_seconds: 1, end_time: 60 } }),
    download({ id: "second", state: "queued", position: 2 }),
    download({ id: "first", state: "queued", position: 1 }),
    download({ id: "late", state: "queued" }),
    download({ id: "held", state: "paused" }),
    download({ id: "moves", state: "downloading", speed: 5 }),
    download({ id: "checks", state: "verifying" }),
  ];

  test("R135 of work: what runs, the queue by its places, what is paused, what has ended with the newest first", () => {
    expect(arrange(all, VIEW)).toEqual(["checks", "moves", "first", "second", "late", "held", "bad", "done"]);
    expect(arrange(all, { ...VIEW, descending: true }).at(0)).toBe("done");
  });

  test.each([
    ["active", ["checks", "moves"]],
    ["queued", ["first", "second", "late"]],
    ["paused", ["held"]],
    ["completed", ["done"]],
    ["failed", ["bad"]],
    ["cancelled", []],
  ] as const)("filter %s", (filter, ids) => {
    expect(arrange(all, { ...VIEW, filter })).toEqual([...ids]);
  });

  test("search finds every word, in any case, in id, repository, file or address", () => {
    const one = download({ model_id: "Qwen-small", repo_id: "Org/Repo", filename: "x.Q4_K_M.gguf" });
    for (const text of ["qwen", "ORG q4_k", " repo ", ""]) expect(matcher(text)(one)).toBe(true);
    for (const text of ["qwen big", "q5"]) expect(matcher(text)(one)).toBe(false);
  });

  test("names are sorted as people count", () => {
    const names = ["m-10", "m-9", "M-1"].map((model_id) => download({ id: model_id, model_id }));
    expect(arrange(names, { ...VIEW, sort: "name" })).toEqual(["M-1", "m-9", "m-10"]);
  });

  test("progress alone moves no row, unless the rows are sorted by it", () => {
    const before = download({ id: "it", state: "downloading", speed: 1 });
    const after = { ...before, speed: 2 };
    expect(isMoved(before, after, VIEW)).toBe(false);
    expect(isRestless(before, after, VIEW)).toBe(false);
    expect(isRestless(before, after, { ...VIEW, sort: "speed" })).toBe(true);
    expect(isMoved(before, { ...before, state: "paused" }, VIEW)).toBe(true);
  });
});

test("R115 the five counters count what is unfinished, and nothing is left when all has gone", () => {
  const sums = noSums();
  const all = [
    download({ state: "downloading", type: "startup", speed: 7 }),
    download({ state: "queued", model_type: "embedding" }),
    download({ state: "paused" }),
    download({ state: "completed" }),
    download({ state: "failed" }),
  ];
  for (const each of all) count(sums, each, 1);
  expect(sums.speed).toBe(7);
  expect(sums.counters).toMatchObject({ total: 3, startup: 1, regular: 2, embedding: 1, llm: 2 });
  expect(sums.counters.filters).toMatchObject({
    all: 5,
    active: 1,
    queued: 1,
    paused: 1,
    completed: 1,
    failed: 1,
  });
  for (const each of all) count(sums, each, -1);
  expect(sums).toEqual(noSums());
});

describe("the queue", () => {
  const at = (id: string, place?: number) => ({ id, place });
  test("who leaves lets the others move up; who comes is put where the server said", () => {
    const queue = new Queue();
    queue.put([at("c", 3), at("a", 1), at("b", 2)]);
    expect(queue.ids).toEqual(["a", "b", "c"]);
    expect(queue.remove(["a", "nobody"])).toBe(true);
    expect(queue.place("b")).toBe(1);
    queue.put([at("new"), at("front", 1)]);
    expect(queue.ids).toEqual(["front", "b", "c", "new"]);
    queue.put([at("c", 1)]);
    expect(queue.ids).toEqual(["c", "front", "b", "new"]);
  });

  test("nothing new changes nothing", () => {
    const queue = new Queue();
    queue.put([at("a", 1), at("b", 2)]);
    expect(queue.put([at("a", 1), at("b")])).toBe(false);
    expect(queue.remove(["x"])).toBe(false);
  });

  test("a thousand places in any order are the order", () => {
    const queue = new Queue();
    const ids = Array.from({ length: 1000 }, (_, index) => `id-${index}`);
    queue.put(ids.map((id, index) => at(id, index + 1)).toSorted((a, b) => (a.id < b.id ? 1 : -1)));
    expect(queue.ids).toEqual(ids);
  });
});

describe("a long list", () => {
  const higher = [
    { index: 7, extra: 100 },
    { index: 2, extra: 50 },
  ];
  const place = layout(10, 20, higher);

  test("rows lie one below the other, with the higher ones in between", () => {
    expect(place.height).toBe(350);
    for (let index = 0; index < 10; index += 1) {
      expect(place.at(place.top(index))).toBe(index);
      expect(place.at(place.top(index + 1) - 1)).toBe(index);
    }
    expect([place.at(-100), place.at(9999)]).toEqual([0, 9]);
  });

  test("only what is in sight is drawn, and the row that has the focus wherever it is", () => {
    const long = layout(10_000, 20, []);
    const near = drawn(long, 10_000, { top: 2000, bottom: 2400 }, 5, 2);
    expect(near[0]).toBe(5);
    expect(near.slice(1)).toEqual(Array.from({ length: 25 }, (_, each) => 98 + each));
    expect(drawn(long, 10_000, { top: 0, bottom: 100 }, 9_999, 0).at(-1)).toBe(9_999);
    expect(drawn(layout(0, 20, []), 0, { top: 0, bottom: 100 }, -1)).toEqual([]);
  });

  test("keys lead from row to row and stop at both ends", () => {
    expect(stepOf("ArrowDown", 0, 3, 5)).toBe(1);
    expect(stepOf("ArrowDown", 2, 3, 5)).toBe(2);
    expect(stepOf("PageUp", 2, 3, 5)).toBe(0);
    expect(stepOf("End", 0, 3, 5)).toBe(2);
    expect(stepOf("a", 0, 3, 5)).toBeUndefined();
  });
});

test("the title says how far it is and how many", () => {
  expect(lookOf(0, 0, 0, false)).toEqual({ title: "modelhaul", step: null });
  expect(lookOf(1, 425, 1000, false)).toEqual({ title: "42.5% · 1 download · modelhaul", step: 3 });
  expect(lookOf(2, 0, 0, false)).toEqual({ title: "2 downloads · modelhaul", step: 0 });
  expect(lookOf(3, 5, 5, false).step).toBe(8);
  expect(lookOf(3, 5, 9, true)).toEqual({ title: "No connection · modelhaul", step: null });
});

test("ends are told in one sentence, those that somebody wanted not at all", () => {
  const ended = (state: "completed" | "failed" | "cancelled", model_id = "m") => ({ state, model_id });
  expect(sentence([ended("completed", "a")])).toBe("a completed");
  expect(sentence([ended("completed"), ended("completed"), ended("failed", "b")])).toBe(
    "2 downloads completed, b failed",
  );
  expect(sentence([ended("cancelled")])).toBe("");
});

test("addresses of views come back as they went; what is no view is the list", () => {
  const text = href("add", { repo: "org/na me", x: "ü&=" });
  expect(text).toStartWith("#/add?");
  const { view, params } = parseRoute(text);
  expect([view, params.get("repo"), params.get("x")]).toEqual(["add", "org/na me", "ü&="]);
  for (const odd of ["", "#", "#/", "#/constructor", "#/../models", "nothing"])
    expect(parseRoute(odd).view).toBe("downloads");
});
