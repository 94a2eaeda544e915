import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { ggufRepo, type Hub, startHub } from "../support/hub.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { until } from "../support/until.ts";
import { errorOf } from "./engine-world.ts";
import { type Body, MB, type Served, serve } from "./support.ts";

/** Seeds 001 and 002 route by route, under both prefixes. */
setDefaultTimeout(30_000);

const PREFIXES = ["", "/v1"];
const ENGINE = { engine_id: "e", load_immediately: false, main_gpu_id: 1 };
const INT = expect.any(Number);
const TEXT = expect.any(String);
const INVALID = "invalid_request_error";

let hub: Hub;
let origin: Origin;
let served: Served;
beforeAll(async () => {
  hub = await startHub({ repos: [ggufRepo("acme/tiny-gguf", { quantizations: { Q4_K_M: MB } })] });
  origin = await startOrigin({
    resources: [
      { path: "/quick.bin", seed: 1, size: 1000 },
      { path: "/slow.bin", seed: 2, size: 64 * MB },
      { path: "/uncut.bin", seed: 3, size: 8 * MB, ranges: false },
    ],
    ratePerConnection: MB / 4,
  });
  served = await serve({ product: { hfEndpoint: hub.endpoint } });
});
afterEach(async () => {
  origin.clear();
  origin.limits.ratePerConnection = MB / 4;
  await served.call("PATCH", "/v1/settings", { paused: false });
  await served.call("DELETE", "/downloads");
  await served.call("DELETE", "/v1/history?files=true");
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  await origin[Symbol.asyncDispose]();
  await hub[Symbol.asyncDispose]();
});

const get = async (path: string): Promise<Body> => (await served.call("GET", path)).body;

async function start(model_id: string, more: object = {}, file = "/slow.bin"): Promise<Body> {
  const url = `${origin.url(file)}?${encodeURIComponent(model_id)}`;
  const { status, body } = await served.call("POST", "/v1/downloads", { url, model_id, ...more });
  expect(status).toBe(202);
  return body;
}

/** Downloads that have ended in each way there is. */
async function ended(): Promise<void> {
  await start("completed", {}, "/quick.bin");
  await start("failed", {}, "/missing.bin");
  await start("cancelled");
  await served.call("DELETE", "/downloads/cancelled");
  await served.product.reaches("completed", "completed");
  await served.product.reaches("failed", "failed");
}

/** The members both generations have in common. */
const PROGRESS = { downloaded_bytes: INT, total_bytes: INT, percentage: INT, download_speed_bps: INT };
const ITEM = { model_id: TEXT, status: TEXT, url: TEXT, local_path: TEXT, progress: PROGRESS };

function expectWhole(timing: Body, keys: string[]): void {
  expect(Object.keys(timing)).toEqual(keys);
  for (const value of Object.values(timing)) expect(Number.isInteger(value)).toBe(true);
}

describe("seed 001", () => {
  test("R27 R28 R29 R30 R31 the progress of one download, under both prefixes", async () => {
    await start("one");
    await served.product.has("one", 1);
    for (const prefix of PREFIXES) {
      const { status, body } = await served.call("GET", `${prefix}/download-progress/one`);
      expect([status, body]).toEqual([200, expect.objectContaining(ITEM)]);
      expect(body).toMatchObject({ model_id: "one", status: "downloading" });
      expect(body.url).toStartWith(origin.url("/slow.bin"));
      expect(Object.keys(body.progress)).toEqual(Object.keys(PROGRESS));
      expect(body.progress.total_bytes).toBe(64 * MB);
    }
    const moving = await until(async () => {
      const { timing } = await get("/download-progress/one");
      return timing.estimated_remaining_seconds > 0 && timing;
    }, "a remaining time");
    expectWhole(moving, ["start_time", "elapsed_seconds", "estimated_remaining_seconds"]);
    expect(moving.start_time).toBeWithin(Date.now() - 60_000, Date.now() + 1);
  });

  test("R32 downloading, completed, failed and cancelled are told by those words", async () => {
    await ended();
    await start("downloading");
    for (const word of ["downloading", "completed", "failed", "cancelled"])
      expect((await get(`/download-progress/${word}`)).status).toBe(word);
  });

  test("R33 200, 404 for no such download, 400 for no valid id, 500 for what nobody expected", async () => {
    await using broken = await serve();
    broken.product.downloads.get = () => Promise.reject(new Error("disk on fire"));
    await start("here");
    for (const prefix of PREFIXES) {
      const path = `${prefix}/download-progress`;
      expect((await served.call("GET", `${path}/here`)).status).toBe(200);
      const unknown = await served.call("GET", `${path}/nobody`);
      expect(errorOf(unknown)).toEqual([404, "not_found_error", "model_id", "download_not_found"]);
      for (const id of ["", "%zz", "a%00b"]) {
        const answer = await served.call("GET", `${path}/${id}`);
        expect(errorOf(answer)).toEqual([400, INVALID, "path", "invalid_path_format"]);
      }
      const failed = await broken.call("GET", `${path}/here`);
      expect(errorOf(failed)).toEqual([500, "server_error", null, null]);
      expect(JSON.stringify(failed.body)).not.toContain("fire");
    }
  });

  test("R42 R47a one manager for all: downloads go on side by side, and what befalls one is nothing to the others", async () => {
    const ids = ["first", "second", "third"];
    for (const id of ids) await start(id);
    for (const id of ids) await served.product.has(id, 1);
    expect((await get("/downloads")).total_active).toBe(3);
    await served.call("POST", "/downloads/first/cancel");
    await served.call("POST", "/downloads/second/pause");
    await start("fourth", {}, "/missing.bin");
    await served.product.reaches("fourth", "failed");
    const { bytes } = await served.product.downloads.get("third");
    await served.product.has("third", bytes + 1);
    expect((await get("/download-progress/second")).status).toBe("paused");
  });
});

test("R47 a download that fails for good leaves no partial file and no file", async () => {
  const retry = { max_attempts: 1 };
  await start("wrong", { sha256: "0".repeat(64), retry, layout: "flat" }, "/uncut.bin");
  origin.limits.ratePerConnection = 64 * MB;
  const failed = await served.product.reaches("wrong", "failed", "completed");
  expect([failed.state, failed.error?.code]).toEqual(["failed", "checksum"]);
  const left = [...new Bun.Glob("**/*").scanSync({ cwd: served.product.models, dot: true })];
  expect(left.filter((name) => name.includes("uncut"))).toEqual([]);
});

describe("seed 002: reading", () => {
  test("R34 R35 R51 R61 R62 R63 R64 R65 R66 R67 the list under both prefixes", async () => {
    await start("gone", {}, "/missing.bin");
    await served.product.reaches("gone", "failed");
    await start("my-embedding-model", { engine: ENGINE });
    await start("plain");
    await served.product.has("plain", 1);
    for (const prefix of PREFIXES) {
      const before = Date.now();
      const { status, body } = await served.call("GET", `${prefix}/downloads`);
      expect([status, Object.keys(body)]).toEqual([
        200,
        ["active_downloads", "total_active", "summary", "timestamp"],
      ]);
      expect(body.timestamp).toBeWithin(before, Date.now() + 1);
      expect(body.total_active).toBe(2);
      expect(body.summary).toEqual({
        total_active: 2,
        startup_downloads: 1,
        regular_downloads: 1,
        embedding_model_downloads: 1,
        llm_model_downloads: 1,
      });
      const items: Record<string, Body> = Object.fromEntries(
        body.active_downloads.map((item: Body) => [item.model_id, item]),
      );
      expect(Object.keys(items).sort()).toEqual(["gone", "my-embedding-model", "plain"]);
      for (const item of Object.values(items))
        expect(item).toEqual(expect.objectContaining({ ...ITEM, download_type: TEXT }));
      expect(items["my-embedding-model"]).toMatchObject({
        download_type: "startup",
        engine_creation: { model_id: "e", load_immediately: false, main_gpu_id: 1 },
      });
      expect(items.plain).toMatchObject({ download_type: "regular" });
      expect(items.plain).not.toHaveProperty("engine_creation");
      expect(items.plain).not.toHaveProperty("error_message");
      expect(items.gone.error_message).toContain("missing.bin");
      expectWhole(items.gone.timing, ["start_time", "elapsed_seconds", "end_time"]);
    }
  });

  test("R52 R68 R69 R71 R82 one download under both prefixes, with the engine to come", async () => {
    await start("one", { engine: ENGINE });
    for (const prefix of PREFIXES) {
      const { status, body } = await served.call("GET", `${prefix}/downloads/one`);
      expect([status, body]).toEqual([
        200,
        expect.objectContaining({ ...ITEM, download_type: "startup", timing: expect.anything() }),
      ]);
      expect(body.engine_creation).toMatchObject({
        model_id: "e",
        model_type: "llm",
        load_immediately: false,
        main_gpu_id: 1,
        inference_engine: TEXT,
        llm_features: { text_generation: true, chat_completion: true, instruction_following: true },
      });
      expect(body).not.toHaveProperty("timing.end_time");
      expect(body).not.toHaveProperty("error_message");
    }
  });

  test("R48 R49 what has come to rest is answered alike, to the letter, with and without /v1", async () => {
    await ended();
    const paths = ["/downloads/completed", "/downloads/failed", "/download-progress/cancelled"];
    for (const path of [...paths, "/downloads/nobody", "/downloads/", "/downloads/a/b"]) {
      const [plain, versioned] = [await served.call("GET", path), await served.call("GET", `/v1${path}`)];
      expect([path, versioned.status, versioned.body]).toEqual([path, plain.status, plain.body]);
    }
    const { timestamp: _, ...list } = await get("/downloads");
    expect(await get("/v1/downloads")).toMatchObject(list);
  });

  test("R50 GET, POST and DELETE are taken, OPTIONS says so", async () => {
    await start("one");
    for (const prefix of PREFIXES) {
      const allowed = async (path: string) =>
        (await served.call("OPTIONS", prefix + path)).headers.get("allow")?.split(", ");
      expect(await allowed("/downloads")).toEqual(["DELETE", "GET", "HEAD", "OPTIONS", "POST"]);
      expect(await allowed("/downloads/one")).toContainAllValues([
        "DELETE",
        "GET",
        "HEAD",
        "OPTIONS",
        "PATCH",
      ]);
      expect(await allowed("/downloads/one/pause")).toEqual(["OPTIONS", "POST"]);
    }
  });

  test("R59 reading changes nothing, however often; commands do, and say so the second time", async () => {
    await ended();
    await served.call("PATCH", "/v1/settings", { paused: true });
    await start("waiting");
    const { feed } = served.product.downloads;
    const { seq } = feed;
    const read = async () => {
      const all = [];
      for (const path of ["/downloads/failed", "/v1/downloads/completed", "/download-progress/cancelled"])
        all.push(await get(path));
      for (const path of ["/downloads", "/v1/downloads?state=all", "/downloads/waiting"]) await get(path);
      return all;
    };
    expect(await read()).toEqual(await read());
    expect(feed.seq).toBe(seq);
    expect((await served.call("POST", "/downloads/waiting/cancel")).status).toBe(200);
    expect((await served.call("POST", "/downloads/waiting/cancel")).status).toBe(400);
  });
});

describe("seed 002: numbers", () => {
  test("R89 the speed is an average since the start, and stands still while paused", async () => {
    const { timing } = await start("average");
    await served.product.has("average", MB);
    await served.call("POST", "/downloads/average/pause");
    const { progress: first } = await get("/downloads/average");
    const least = first.downloaded_bytes / ((Date.now() - timing.start_time) / 1000);
    expect(first.download_speed_bps).toBeGreaterThanOrEqual(Math.floor(least));
    expect(Number.isInteger(first.download_speed_bps)).toBe(true);
    const later = await until(async () => {
      const { timestamp, active_downloads } = await get("/downloads");
      return timestamp > timing.start_time + 2000 && active_downloads[0].progress;
    }, "two seconds to pass");
    expect(later).toEqual(first);
  });

  test("R85 without ranges a resumed download starts again, and is whole at the end", async () => {
    await start("uncut", { sha256: origin.sha256("/uncut.bin") }, "/uncut.bin");
    await served.product.has("uncut", MB / 8);
    await served.call("POST", "/downloads/uncut/pause");
    expect((await get("/downloads/uncut")).status).toBe("paused");
    origin.limits.ratePerConnection = 64 * MB;
    await served.call("POST", "/downloads/uncut/resume");
    const done = await served.product.reaches("uncut", "completed", "failed");
    expect([done.state, done.bytes]).toEqual(["completed", 8 * MB]);
  });

  test("R86 a pause is answered although the server has fallen silent, and no byte comes after it", async () => {
    const rule = origin.on({ path: "/slow.bin" }, { kind: "stall", at: 1000 });
    await start("silent");
    await served.product.has("silent", 1000);
    const { status, body } = await served.call("POST", "/downloads/silent/pause");
    expect([status, body.success, (await get("/downloads/silent")).status]).toEqual([200, true, "paused"]);
    const { bytes } = await served.product.downloads.get("silent");
    rule.release();
    await until(() => origin.stats.openConnections === 0, "the connections to be let go of");
    expect((await served.product.downloads.get("silent")).bytes).toBe(bytes);
  });
});
