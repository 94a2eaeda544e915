import { describe, expect, test } from "bun:test";
import { Narration, type Payload, type Told } from "../../src/api/abstractcore/narration.ts";
import { type ProgressEvent, STATUS } from "../../src/api/abstractcore/present.ts";
import type { State } from "../../src/core/download.ts";
import type { Snapshot } from "../../src/core/feed.ts";
import { blocks, seed } from "./seeds.ts";
import { snapshot } from "./snapshots.ts";
import type { Body } from "./support.ts";

const HUB = { provider: "huggingface", model: "acme/m" };
const OLLAMA = { provider: "ollama", model: "llama3:8b" };

/** What a listener gets of these states, one after the other. */
function narrate(asked: typeof HUB, states: Partial<Snapshot>[], before: (it: Narration) => void = () => {}) {
  const narration = new Narration(asked);
  before(narration);
  const told: Told[] = narration.begin();
  for (const [seq, state] of states.entries()) told.push(...narration.next(snapshot({ seq, ...state })));
  return told.map(({ payload }): Body => payload satisfies Payload);
}
const percents = (events: Body[]) => events.map(({ percent }) => percent).filter((one) => one !== undefined);
const texts = (events: Body[]) =>
  events.map((event) => (event.status ? [event.status, event.message] : event));

describe("words", () => {
  test("A4 R167 each state has one of the seed's five words", () => {
    const words: Record<State, string> = {
      queued: "starting",
      downloading: "downloading",
      paused: "downloading",
      verifying: "verifying",
      creating_engine: "verifying",
      completed: "complete",
      failed: "error",
      cancelled: "error",
    };
    expect(STATUS).toEqual(words as typeof STATUS);
  });

  test("A4 every state as one sees it, with the exact state beside the word", () => {
    for (const state of Object.keys(STATUS) as State[]) {
      const narration = new Narration(HUB);
      const [event] = narration.next(snapshot({ state })) as { payload: ProgressEvent }[];
      const verifying = state === "completed" ? "verifying" : state;
      expect([state, event?.payload.state, event?.payload.status]).toEqual([
        state,
        verifying,
        STATUS[verifying as State],
      ]);
    }
    expect(narrate(HUB, [{ state: "paused" }]).at(-1)).toMatchObject({ message: "Paused" });
  });

  test("R166 R169 the keys are those of the seed's two examples", () => {
    const text = seed("004");
    if (text === undefined) return;
    const [update] = narrate(HUB, []);
    const keys = blocks(text, "python").flatMap((block) =>
      [...block.matchAll(/'(?!error)(\w+)': progress\./g)].map(([, key]) => key as string),
    );
    expect(new Set(keys).size).toBe(7);
    expect(Object.keys(update)).toEqual(expect.arrayContaining([...new Set(keys)]));
    const fields = [...text.matchAll(/^progress\.(\w+) /gm)].map(([, field]) => field as string);
    expect(fields.toSorted()).toEqual(["downloaded_bytes", "message", "percent", "status", "total_bytes"]);
    const words = [...text.matchAll(/^DownloadStatus\.(\w+) /gm)].map(([, word]) => word?.toLowerCase());
    expect(new Set(words)).toEqual(new Set(Object.values(STATUS)));
  });
});

describe("the percentage", () => {
  test("A25 never falls, whatever is fetched again or found to be larger", () => {
    const events = narrate(HUB, [
      { bytes: 50, total: 100 },
      { bytes: 0, total: 100 },
      { bytes: 60, total: 400 },
      { state: "queued", bytes: 0, total: null, waiting: { reason: "retry" } },
      { bytes: 300, total: 400 },
    ]);
    expect(percents(events)).toEqual([null, 50, 50, 50, 50, 75]);
    expect(events.map(({ downloaded_bytes }) => downloaded_bytes)).toEqual([null, 50, 0, 60, null, 300]);
  });

  test("A25 with a daemon it stays below a hundred until success, then it is a hundred", () => {
    const events = narrate(OLLAMA, [
      { bytes: 10, total: 10 },
      { bytes: 10, total: 1000 },
      { state: "verifying", bytes: 1000, total: 1000 },
      { state: "completed", bytes: 1000, total: 1000 },
    ]);
    expect(percents(events)).toEqual([null, 99, 99, 99, 100]);
  });

  test("it is rounded down: only the last byte makes a hundred", () => {
    expect(percents(narrate(HUB, [{ bytes: 999_999, total: 1_000_000 }]))).toEqual([null, 99.99]);
    expect(percents(narrate(HUB, [{ bytes: 5, total: null }]))).toEqual([null, null]);
  });

  test("who comes back sees what was seen before", () => {
    const narration = new Narration(HUB, 40);
    const told = [...narration.begin(), ...narration.next(snapshot({ bytes: 3, total: 10 }))];
    expect(told.map(({ payload }) => (payload as ProgressEvent).percent)).toEqual([40, 40]);
    expect(narration.percent).toBe(40);
  });
});

describe("the sequence", () => {
  test("A25 verifying is told even when nobody saw it, once", () => {
    const unseen = narrate(HUB, [{ filesTotal: 1 }, { state: "completed" }]);
    const seen = narrate(HUB, [{ filesTotal: 1 }, { state: "verifying" }, { state: "completed" }]);
    for (const events of [unseen, seen])
      expect(events.map(({ status, done }) => status ?? { done })).toEqual([
        "starting",
        "downloading",
        "verifying",
        "complete",
        { done: true },
      ]);
  });

  test("R175 A25 Ollama's words", () => {
    expect(
      texts(
        narrate(OLLAMA, [
          { filesTotal: 0, bytes: 0, total: null },
          { filesTotal: 3, filesDone: 1 },
          { filesTotal: 3, filesDone: 1, statusLine: "pulling 74701a8c35f6" },
          { state: "verifying", statusLine: "verifying sha256 digest" },
          { state: "verifying", statusLine: "writing manifest" },
          { state: "verifying", statusLine: "success" },
          { state: "completed" },
        ]),
      ),
    ).toEqual([
      ["starting", "Pulling llama3:8b from Ollama..."],
      ["downloading", "pulling manifest"],
      ["downloading", "downloading llama3:8b (1 of 3 layers complete)"],
      ["downloading", "pulling 74701a8c35f6"],
      ["verifying", "verifying sha256 digest"],
      ["verifying", "writing manifest"],
      ["complete", "Successfully pulled llama3:8b"],
      { done: true },
    ]);
  });

  test("A25 what was complete before is silent until something turns out to be missing", () => {
    const again = (it: Narration) => it.expectNothingNew();
    const present = [
      { bytes: 0, total: null },
      { bytes: 9, total: 9 },
      { state: "verifying" as const, bytes: 9, total: 9 },
      { state: "completed" as const, bytes: 9, total: 9 },
    ];
    expect(narrate(HUB, present, again).map(({ status }) => status)).toEqual([
      "starting",
      "complete",
      undefined,
    ]);
    const listed = [{ bytes: 4, total: 9, averageBps: 0 }, ...present.slice(1)];
    const asDaemon = listed.map((state) => ({ averageBps: 0, ...state }));
    expect(narrate(OLLAMA, asDaemon, again).map(({ status }) => status)).toEqual([
      "starting",
      "complete",
      undefined,
    ]);
    const pulled = [{ bytes: 4, total: 9, averageBps: 4 }, ...present.slice(3)];
    expect(narrate(OLLAMA, pulled, again).map(({ status }) => status)).toContain("downloading");
    const missing = [{ bytes: 4, total: 9 }, ...present.slice(1)];
    expect(narrate(HUB, missing, again).map(({ status }) => status)).toEqual([
      "starting",
      "downloading",
      "downloading",
      "verifying",
      "complete",
      undefined,
    ]);
  });

  test("nothing comes after the end, and nothing twice", () => {
    const failed = { state: "failed" as const, error: { code: "checksum" as const, message: "m: bad" } };
    const events = narrate(HUB, [{}, {}, failed, {}, failed]);
    expect(events.map(({ status, error }) => status ?? error)).toEqual([
      "starting",
      "downloading",
      "error",
      "m: bad",
    ]);
    const narration = new Narration(HUB);
    expect(narration.fail("no").map(({ isLast }) => isLast)).toEqual([false, true]);
    expect([...narration.fail("again"), ...narration.next(snapshot())]).toEqual([]);
  });
});

describe("errors", () => {
  const failure = (
    asked: typeof HUB,
    code: "not_found" | "gated" | "auth_required" | "connect" | "internal",
  ) => narrate(asked, [{ state: "failed", error: { code, message: `because of ${code}` } }]).at(-1).error;

  test("R179 R180 A25 they begin with the seed's own sentences and go on in ours", () => {
    expect(failure(HUB, "not_found")).toBe(
      "Model 'acme/m' not found on HuggingFace Hub. because of not_found",
    );
    expect(failure(HUB, "gated")).toBe(
      "Model requires authentication. Provide token parameter. because of gated",
    );
    expect(failure(HUB, "connect")).toBe("because of connect");
    expect(failure(OLLAMA, "not_found")).toBe("Model 'llama3:8b' not found on Ollama. because of not_found");
    expect(failure(OLLAMA, "auth_required")).toBe("because of auth_required");
    expect(failure(HUB, "internal")).not.toContain("because");
  });

  test("R179 R180 they are the seed's", () => {
    const text = seed("004");
    if (text === undefined) return;
    const examples = [...text.matchAll(/- "(.+)"$/gm)].map(([, sentence]) => sentence as string);
    const ours = [
      failure({ ...HUB, model: "nonexistent/model" }, "not_found"),
      failure({ ...HUB, provider: "mlx" }, "auth_required"),
    ];
    expect(examples.length).toBe(3);
    for (const [index, message] of ours.entries()) expect(message).toStartWith(examples[index] as string);
  });
});
