import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { ggufFile, type Hub, startHub } from "../support/hub.ts";
import { until } from "../support/until.ts";
import { EventClient } from "./event-client.ts";
import { blocks, seed } from "./seeds.ts";
import { absent, mismatches } from "./shapes.ts";
import { type Body, MB } from "./support.ts";
import { hold, type Kept, keep, query } from "./wingman-world.ts";

/** Every JSON example of the five seeds, read from them, against an answer of ours: the same keys and types (A4). */
setDefaultTimeout(60_000);

const NUMBERS = ["000", "001", "002", "003", "004"] as const;
const SEEDS = NUMBERS.map((number) => seed(number));
const [S000 = "", S001 = "", S002 = "", S003 = "", S004 = ""] = SEEDS;
const areThere = SEEDS.every((text) => text !== undefined);

/** JSON without comments, which seed 001 has; 10.0 is a number of any kind, which JSON.parse would not show. */
const examplesOf = (text: string): Body[] =>
  blocks(text, "json").map((block) =>
    JSON.parse(block.replace(/ \/\/.*$/gm, "").replace(/\b(\d+)\.0\b/g, "$1.5")),
  );

const [LOCAL_REQUEST, LOCAL_ACCEPTED, LOCAL_EVENT, LOCAL_CANCELLED, ...MORE_000] = examplesOf(S000);
const [PROGRESS, OLD_LIST, ENGINE_REQUEST, ENGINE_ACCEPTED, ...MORE_001] = examplesOf(S001);
const [
  LIST,
  ONE,
  CANCELLED,
  PAUSED,
  RESUMED,
  BULK,
  BAD_PATH,
  MISSING,
  BROKEN,
  ERROR,
  ERROR_AGAIN,
  ...MORE_002
] = examplesOf(S002);
const [TRACKER, ...MORE_003] = examplesOf(S003);

/** The dictionaries that seed 004 sends as JSON, by their keys. */
const SENT_004 = [...S004.matchAll(/json\.dumps\((\{[\s\S]*?\})\)/g)].map(([, text = ""]) =>
  [...text.matchAll(/'(\w+)':/g)].map(([, key = ""]) => key),
);

const LLAMA = "TheBloke/Llama-2-7B-GGUF";
const LLAMA_FILE = "llama-2-7b.Q4_K_M.gguf";
const DIALOG = "microsoft/DialoGPT-medium";
const OWN = "acme/golden";

describe.skipIf(!areThere)("golden", () => {
  let hub: Hub;
  let kept: Kept;
  beforeAll(async () => {
    hub = await startHub({
      repos: [
        { id: LLAMA, files: [ggufFile(LLAMA, LLAMA_FILE, 32 * MB, "Q4_K_M")] },
        { id: DIALOG, files: [{ path: "pytorch_model.bin", content: "weights of some kind" }] },
        {
          id: OWN,
          files: ["a", "b", "my-embedding"].map((name) => ggufFile(OWN, `${name}.gguf`, 32 * MB, "F16")),
        },
      ],
      cdnLimits: { ratePerConnection: MB, rateTotal: 8 * MB },
    });
    kept = await keep({ hfEndpoint: hub.endpoint });
  });
  afterEach(async () => {
    hub.cdn.clear();
    await kept.call("PATCH", "/v1/settings", { paused: false });
    await kept.call("DELETE", "/downloads");
    await kept.call("DELETE", "/v1/history?files=true");
  });
  afterAll(async () => {
    await kept.close();
    await hub.stop();
  });

  async function start(model_id: string, filename: string, more: object = {}): Promise<Body> {
    const { status, body } = await kept.call("POST", "/downloads", {
      repo_id: OWN,
      filename,
      model_id,
      ...more,
    });
    expect(status).toBe(202);
    return body;
  }

  const engine = (engine_id: string, model_type?: string) => ({
    engine: { engine_id, load_immediately: true, main_gpu_id: 0, ...(model_type && { model_type }) },
  });

  /** One that moves, with its remaining time; one that has failed; each with an engine to come. */
  async function running(): Promise<void> {
    await start("llm", "a.gguf", engine("one", "llm"));
    await start("embedding", "my-embedding.gguf", engine("two", "embedding"));
    await start("failed", "no-such.gguf", engine("three"));
    await kept.product.reaches("failed", "failed");
    await until(async () => {
      const { active_downloads: all } = (await kept.call("GET", "/downloads")).body;
      return all.filter((it: Body) => it.timing.estimated_remaining_seconds > 0).length === 2;
    }, "both to tell their remaining time");
  }

  /** Members that are there only while it runs, only once it has ended, or only for some models (A9). */
  const OPTIONAL = "estimated_remaining_seconds end_time error_message".split(" ");
  const OF_A_KIND = "embedding_features recommended_usage llm_features".split(" ");

  /** Each value fits the example as far as its members go, and together they have all of it. */
  function expectAll(example: Body, values: Body[], optional: string[]): void {
    for (const value of values) expect(mismatches(example, value, optional)).toEqual([]);
    expect(absent(example, values)).toEqual([]);
  }

  test("no example of a seed is left out", () => {
    expect([MORE_000, MORE_001, MORE_002, MORE_003].flat()).toEqual([]);
    expect([ERROR_AGAIN, TRACKER]).toEqual([expect.anything(), expect.anything()]);
    expect(SENT_004).toHaveLength(5);
  });

  test("R1 R2 R3 R4 seed 000: its request is taken and answered with its words", async () => {
    const { status, body } = await kept.call("POST", "/local/download", LOCAL_REQUEST);
    expect([status, mismatches(LOCAL_ACCEPTED, body)]).toEqual([202, []]);
    expect(Object.keys(body)).toEqual(Object.keys(LOCAL_ACCEPTED));
    expect(body.message).toBe(LOCAL_ACCEPTED.message);
  });

  test("R10 R11 R12 R13 R14 R15 R16 R18 seed 000: an event while it downloads, nulls and all, and its end", async () => {
    const { download_id } = (await kept.call("POST", "/local/download", LOCAL_REQUEST)).body;
    const stream = await EventClient.open(`${kept.base}/local/download/status`);
    const moving = await stream.waitFor(({ data }) => data.eta_seconds > 0 && data.progress_percent > 0);
    expect(mismatches(LOCAL_EVENT, moving.data)).toEqual([]);
    const { repo_id, filename, status } = LOCAL_EVENT;
    expect(moving.data).toMatchObject({ download_id, repo_id, filename, status });
    const { status: code, body } = await kept.call("DELETE", `/local/download/${download_id}`);
    expect([code, body]).toEqual([200, LOCAL_CANCELLED]);
    stream.close();
  });

  test("R29 R30 R31 R35 R36 R38 seed 001: its request, the progress of what it starts, and the list", async () => {
    const held = hold(hub, DIALOG, "pytorch_model.bin", 4);
    const { status, body } = await kept.call("POST", "/engines", ENGINE_REQUEST);
    expect([status, Object.keys(body)]).toEqual([202, Object.keys(ENGINE_ACCEPTED)]);
    expect(mismatches(ENGINE_ACCEPTED, body)).toEqual([]);
    const { engine_id, download_url: _, local_path: __, ...words } = ENGINE_ACCEPTED;
    expect(body).toMatchObject({ ...words, engine_id });
    held.remove();
    held.release();
    await running();
    for (const prefix of ["", "/v1"]) {
      const progress = (await kept.call("GET", `${prefix}/download-progress/llm`)).body;
      expect(mismatches(PROGRESS, progress)).toEqual([]);
      const list = (await kept.call("GET", `${prefix}/downloads`)).body;
      expect(mismatches(OLD_LIST, list, ["estimated_remaining_seconds"])).toEqual([]);
      expect(absent(OLD_LIST, [list])).toEqual([]);
    }
  });

  test("R61 R62 R63 R64 R65 R66 R67 R68 R69 R70 R71 seed 002: the list, and each download alone", async () => {
    await running();
    for (const prefix of ["", "/v1"]) {
      expectAll(LIST, [(await kept.call("GET", `${prefix}/downloads`)).body], OPTIONAL);
      const all = [];
      for (const id of ["llm", "embedding", "failed"])
        all.push((await kept.call("GET", `${prefix}/downloads/${id}`)).body);
      expectAll(ONE, all, [...OPTIONAL, ...OF_A_KIND]);
    }
  });

  test("R72 R74 R75 seed 002: pause, resume and cancel", async () => {
    await start("m", "a.gguf", engine("one"));
    await kept.product.has("m", 1);
    for (const [verb, example] of [
      ["pause", PAUSED],
      ["resume", RESUMED],
      ["cancel", CANCELLED],
    ]) {
      const { status, body } = await kept.call("POST", `/downloads/m/${verb}`);
      expect([status, body.success, body.message]).toEqual([200, true, example.message]);
      expect(mismatches(example, body)).toEqual([]);
    }
  });

  test("R76 R77 R78 seed 002: cancelling all, one of which has just ended", async () => {
    const quick = await start("ends", "b.gguf");
    await start("stays", "a.gguf", engine("one"));
    await kept.product.has("ends", 1);
    const { downloads } = kept.product;
    const cancel = downloads.cancel.bind(downloads);
    downloads.cancel = async (id) => {
      // Somebody else was first, between the reading of the list and its turn.
      if (id === quick.id) await cancel(id);
      return cancel(id);
    };
    const { status, body } = await kept.call("DELETE", "/downloads");
    downloads.cancel = cancel;
    expect([status, body.message]).toEqual([200, BULK.message]);
    expectAll(BULK, [body], ["engine_creation"]);
    expect(body.failed_cancellations).toHaveLength(1);
  });

  test("R91 R92 R96 R97 seed 002: its errors, to the letter", async () => {
    for (const prefix of ["", "/v1"]) {
      expect((await kept.call("GET", `${prefix}/downloads/`)).body).toEqual(BAD_PATH);
      expect((await kept.call("GET", `${prefix}/downloads/model-name`)).body).toEqual(MISSING);
      const { downloads } = kept.product;
      const find = downloads.get.bind(downloads);
      downloads.get = () => Promise.reject(new Error("something else"));
      const broken = await kept.call("GET", `${prefix}/downloads/model-name`);
      downloads.get = find;
      expect([broken.status, broken.body]).toEqual([500, BROKEN]);
    }
    await start("m", "a.gguf");
    const refusals = [
      await kept.call("GET", "/downloads/nobody"),
      await kept.call("POST", "/downloads/nobody/pause"),
      await kept.call("POST", "/downloads/m/nothing"),
      await kept.call("POST", "/downloads", {}),
      await kept.call("DELETE", "/v1/downloads/a%00"),
    ];
    for (const { status, body } of refusals) {
      expect(status).toBeWithin(400, 500);
      for (const example of [ERROR, ERROR_AGAIN]) expect(mismatches(example, body)).toEqual([]);
    }
  });

  test("R149 seed 003: the progress file of a new download is this one", async () => {
    await kept.call("PATCH", "/v1/settings", { paused: true });
    const { status, body } = await kept.call("POST", "/api/download", {
      ModelRepo: LLAMA,
      FilePath: LLAMA_FILE,
    });
    expect(status).toBe(202);
    expect(JSON.parse((await kept.text(LLAMA, LLAMA_FILE)) ?? "")).toEqual(TRACKER);
    expect(mismatches(TRACKER, body)).toEqual([]);
    const shown = await kept.call("GET", `/api/progress${query(LLAMA, LLAMA_FILE)}`, undefined, {
      Accept: "application/json",
    });
    expect(mismatches(TRACKER, shown.body)).toEqual([]);
  });

  test("R166 R169 R170 R171 R172 seed 004: what it sends as JSON is sent, key by key", async () => {
    const events = async (model: string) => {
      const stream = await EventClient.open(
        `${kept.base}/api/models/download?provider=huggingface&model=${encodeURIComponent(model)}`,
      );
      await stream.whenEnded();
      return stream.messages.map(({ data }) => data as Body);
    };
    const [good, bad] = [await events(DIALOG), await events("nobody/nothing")];
    const told = [...good.slice(0, -1), ...bad.slice(0, -1)];
    const last = [good.at(-1), bad.at(-1)];
    const progress = SENT_004.filter((keys) => keys.includes("status"));
    const ends = SENT_004.filter((keys) => !keys.includes("status"));
    expect([progress.length, ends]).toEqual([2, [["done"], ["error"], ["error"]]]);
    for (const event of told) {
      for (const key of progress.flat()) expect(event).toHaveProperty(key);
      expect([typeof event.status, typeof event.message]).toEqual(["string", "string"]);
      for (const key of ["percent", "downloaded_bytes", "total_bytes", "downloaded", "total"])
        expect([key, event[key] === null || typeof event[key] === "number"]).toEqual([key, true]);
    }
    expect(last).toEqual([{ done: true }, { error: expect.stringContaining("nobody/nothing") }]);
  });
});
