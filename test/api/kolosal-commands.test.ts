import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Origin, startOrigin } from "../support/origin.ts";
import { errorOf } from "./engine-world.ts";
import { type Body, MB, type Served, serve } from "./support.ts";

/** The commands of seed 002, under both prefixes: what they answer, and what they refuse. */
setDefaultTimeout(30_000);

const PREFIXES = ["", "/v1"];
const ENGINE = { engine_id: "e", load_immediately: true, main_gpu_id: 0 };
const INVALID = "invalid_request_error";

let origin: Origin;
let served: Served;
beforeAll(async () => {
  origin = await startOrigin({
    resources: [
      { path: "/quick.bin", seed: 1, size: 1000 },
      { path: "/slow.bin", seed: 2, size: 64 * MB },
    ],
    ratePerConnection: MB / 4,
  });
  served = await serve();
});
afterEach(async () => {
  origin.clear();
  await served.call("DELETE", "/downloads");
  await served.call("DELETE", "/v1/history?files=true");
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  await origin[Symbol.asyncDispose]();
});

async function start(model_id: string, more: object = {}, file = "/slow.bin"): Promise<Body> {
  const url = `${origin.url(file)}?${encodeURIComponent(model_id)}`;
  const { status, body } = await served.call("POST", "/v1/downloads", { url, model_id, ...more });
  expect(status).toBe(202);
  return body;
}

const statusOf = async (id: string) => (await served.call("GET", `/downloads/${id}`)).body.status;

describe.each(PREFIXES)("under '%s'", (prefix) => {
  const ask = (method: string, path: string, body?: object) => served.call(method, prefix + path, body);

  test.each([
    ["DELETE", "/downloads/m"],
    ["POST", "/downloads/m/cancel"],
  ])("R53 R54 R72 R73 R82 %s %s cancels, and tells what it was before", async (method, path) => {
    for (const wanted of ["downloading", "paused"]) {
      await start("m", { engine: ENGINE });
      await served.product.has("m", 1);
      if (wanted === "paused") await ask("POST", "/downloads/m/pause");
      const before = Date.now();
      const { status, body } = await ask(method, path);
      expect([status, body]).toEqual([
        200,
        expect.objectContaining({
          success: true,
          message: "Download cancelled successfully",
          model_id: "m",
          previous_status: wanted,
          download_type: "startup",
          engine_creation: expect.objectContaining({
            model_id: "e",
            load_immediately: true,
            main_gpu_id: 0,
          }),
        }),
      ]);
      expect(body.timestamp).toBeWithin(before, Date.now() + 1);
      expect(await statusOf("m")).toBe("cancelled");
      await served.call("DELETE", "/v1/history?files=true");
    }
    await start("plain");
    expect((await ask("DELETE", "/downloads/plain")).body).not.toHaveProperty("engine_creation");
  });

  test("R55 R74 pause: its words, from downloading only, and nothing once it has ended", async () => {
    await start("m");
    await served.product.has("m", 1);
    const { status, body } = await ask("POST", "/downloads/m/pause");
    expect([status, body.success, body.message, body.model_id]).toEqual([
      200,
      true,
      "Download paused successfully",
      "m",
    ]);
    expect(await statusOf("m")).toBe("paused");
    await ask("DELETE", "/downloads/m");
    const refused = await ask("POST", "/downloads/m/pause");
    expect(errorOf(refused)).toEqual([400, INVALID, null, null]);
    expect(await statusOf("m")).toBe("cancelled");
  });

  test("R56 R75 R85 resume: its words, from paused only, and it goes on where it stopped", async () => {
    await start("m");
    await served.product.has("m", MB);
    await ask("POST", "/downloads/m/pause");
    const { bytes } = await served.product.downloads.get("m");
    const { status, body } = await ask("POST", "/downloads/m/resume");
    expect([status, body.success, body.message, body.model_id]).toEqual([
      200,
      true,
      "Download resumed successfully",
      "m",
    ]);
    const seen: number[] = [];
    const unsubscribe = served.product.downloads.feed.subscribe((event) => {
      if (event.type === "download") seen.push(event.download.bytes);
    });
    await served.product.has("m", bytes + 1);
    unsubscribe();
    expect(Math.min(...seen)).toBeGreaterThanOrEqual(bytes);
    await ask("DELETE", "/downloads/m");
    expect(errorOf(await ask("POST", "/downloads/m/resume"))).toEqual([400, INVALID, null, null]);
  });

  test.each([
    ["DELETE", "/downloads"],
    ["POST", "/downloads/cancel"],
  ])("R57 R58 R76 R77 R79 %s %s cancels all that runs, and leaves what has ended", async (method, path) => {
    await start("over", {}, "/quick.bin");
    await served.product.reaches("over", "completed");
    await start("one");
    await start("two", { engine: ENGINE });
    await served.product.has("one", 1);
    await ask("POST", "/downloads/two/pause");
    const before = Date.now();
    const { status, body } = await ask(method, path);
    const now = expect.any(Number);
    expect([status, body]).toEqual([
      200,
      {
        success: true,
        message: "Bulk download cancellation completed",
        summary: {
          total_downloads: 2,
          successful_cancellations: 2,
          failed_cancellations: 0,
          startup_cancellations: 1,
          regular_cancellations: 1,
        },
        cancelled_count: 2,
        cancelled_downloads: expect.arrayContaining([
          { model_id: "one", previous_status: "downloading", download_type: "regular", cancelled_at: now },
          {
            model_id: "two",
            previous_status: "paused",
            download_type: "startup",
            cancelled_at: now,
            engine_creation: expect.objectContaining({ ...ENGINE, model_id: "e" }),
          },
        ]),
        failed_cancellations: [],
        timestamp: now,
      },
    ]);
    for (const { cancelled_at } of body.cancelled_downloads)
      expect(cancelled_at).toBeWithin(before, Date.now() + 1);
    expect([await statusOf("over"), await statusOf("one")]).toEqual(["completed", "cancelled"]);
  });

  test("R78 one that has just ended cannot be cancelled with the others, and is listed with its reason", async () => {
    const rule = origin.on({ path: "/quick.bin" }, { kind: "stall", at: 500 });
    await start("ends", {}, "/quick.bin");
    await start("stays");
    await served.product.has("ends", 500);
    const { downloads } = served.product;
    const { id } = await downloads.get("ends");
    const cancel = downloads.cancel.bind(downloads);
    // It gets whole between the moment the list is read and its own turn.
    downloads.cancel = async (which) => {
      if (which === id) {
        rule.remove();
        rule.release();
        await served.product.reaches(id, "completed");
      }
      return cancel(which);
    };
    const { status, body } = await ask("POST", "/downloads/cancel");
    downloads.cancel = cancel;
    expect([status, body.success, body.summary]).toEqual([
      200,
      true,
      {
        total_downloads: 2,
        successful_cancellations: 1,
        failed_cancellations: 1,
        startup_cancellations: 0,
        regular_cancellations: 1,
      },
    ]);
    expect(body.failed_cancellations).toEqual([
      { model_id: "ends", status: "completed", reason: expect.stringContaining("ended") },
    ]);
    expect(body.cancelled_downloads.map((it: Body) => it.model_id)).toEqual(["stays"]);
  });

  test("R78 F164 the reason of a failure that nobody expected is not its text", async () => {
    await start("m");
    const { downloads } = served.product;
    const cancel = downloads.cancel.bind(downloads);
    downloads.cancel = () => Promise.reject(new Error("SELECT secret FROM /var/lib"));
    const { status, body } = await ask("DELETE", "/downloads");
    downloads.cancel = cancel;
    expect([status, body.summary.failed_cancellations]).toEqual([200, 1]);
    const [{ reason, ...failed }] = body.failed_cancellations;
    expect(failed).toEqual({ model_id: "m", status: "downloading" });
    expect([reason.length > 20, reason.includes("secret")]).toEqual([true, false]);
  });

  test("R91 R93 an id nobody has is 404 for cancel, pause and resume, without a code", async () => {
    for (const [method, path] of [
      ["DELETE", "/downloads/nobody"],
      ["POST", "/downloads/nobody/cancel"],
      ["POST", "/downloads/nobody/pause"],
      ["POST", "/downloads/nobody/resume"],
    ] as const) {
      const answer = await ask(method, path);
      expect([path, ...errorOf(answer)]).toEqual([path, 404, "not_found_error", "model_id", null]);
      expect(Object.keys(answer.body.error)).toEqual(["message", "type", "param", "code"]);
      expect(answer.body.error.message).toContain("nobody");
    }
  });

  test("R91 R94 what has ended, in whichever way, cannot be cancelled: 400 without a code, and it stays as it was", async () => {
    await start("completed", {}, "/quick.bin");
    await start("failed", {}, "/missing.bin");
    await start("cancelled");
    await ask("DELETE", "/downloads/cancelled");
    await served.product.reaches("completed", "completed");
    await served.product.reaches("failed", "failed");
    for (const word of ["completed", "failed", "cancelled"]) {
      const before = await served.call("GET", `/downloads/${word}`);
      for (const [method, path] of [
        ["DELETE", `/downloads/${word}`],
        ["POST", `/downloads/${word}/cancel`],
      ] as const)
        expect(errorOf(await ask(method, path))).toEqual([400, INVALID, null, null]);
      expect((await served.call("GET", `/downloads/${word}`)).body).toEqual(before.body);
    }
  });

  test("R92 R95 R96 R98 unknown ids, paths and malformed ids, in the seed's words; an id has one spelling", async () => {
    await start("Model");
    const refused = async (path: string) => {
      const answer = await ask("GET", path);
      return [...errorOf(answer), answer.body.error?.message];
    };
    const missing = [404, "not_found_error", "model_id", "download_not_found"];
    expect(await refused("/downloads/model")).toEqual([...missing, "No download found for model ID: model"]);
    expect(await refused("/downloads/Model/nothing")).toEqual([
      400,
      INVALID,
      "path",
      "invalid_endpoint",
      expect.any(String),
    ]);
    expect(await refused("/downloads/")).toEqual([
      400,
      INVALID,
      "path",
      "invalid_path_format",
      "Cannot extract model ID from request path",
    ]);
    expect((await ask("GET", "/downloads/Model")).status).toBe(200);
  });
});
