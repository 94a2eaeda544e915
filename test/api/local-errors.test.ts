import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { refusalResponse } from "../../src/api/local/refusal.ts";
import { DownloadError, type ErrorCode, VERDICTS } from "../../src/core/errors.ts";
import { getText, rawRequest } from "../support/raw.ts";
import { until } from "../support/until.ts";
import { Contract } from "./contract.ts";
import { EventClient } from "./event-client.ts";
import { type Answer, type Body, KEY, type Served, serve } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

const START = { repo_id: "acme/tiny-gguf", filename: "a.gguf" };
const STREAM = "/local/download/status";
const NOBODY = "550e8400-e29b-41d4-a716-446655440000";
const SHAPE = ["error_code", "code", "message", "details", "timestamp"];
/** No body. */
const none = undefined;

/** A5: the five keys, and the same object once more. */
function expectShape(body: Body, code: string, field: string | null): void {
  expect(Object.keys(body)).toEqual([...SHAPE, "detail"]);
  const { detail, ...error } = body;
  expect(detail).toEqual(error);
  expect([body.error_code, body.code]).toEqual([code, code]);
  expect(body.details).toEqual(field === null ? null : { field });
  expect(body.message.length).toBeGreaterThan(5);
  expect(body.timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
}

type Row = [method: string, path: string, body: unknown, status: number, code: string, field: string | null];

const nameOf = ([method, path, body, status, code]: Row): string => {
  const sent = body === none ? "" : JSON.stringify(body).slice(0, 60);
  return `${method} ${path.slice(0, 60)} ${sent} is ${status} ${code}`;
};

describe("A5 A19 every error of the family has its one shape", () => {
  let served: Served;
  let contract: Contract;
  beforeAll(async () => {
    served = await serve({ product: { settings: { paused: true } } });
    contract = await Contract.of(served);
  });
  afterAll(() => served[Symbol.asyncDispose]());

  const LONG = "x".repeat(1025);
  const rows: Row[] = [
    ["DELETE", `/local/download/${NOBODY}`, none, 404, "DOWNLOAD_NOT_FOUND", "download_id"],
    ["DELETE", "/local/download/not-a-uuid", none, 404, "DOWNLOAD_NOT_FOUND", "download_id"],
    ["DELETE", "/local/download/a%2Fb", none, 404, "DOWNLOAD_NOT_FOUND", "download_id"],
    ["DELETE", STREAM, none, 404, "DOWNLOAD_NOT_FOUND", "download_id"],
    ["DELETE", "/local/download/", none, 400, "INVALID_PATH_FORMAT", "path"],
    ["DELETE", "/local/download/%zz", none, 400, "INVALID_PATH_FORMAT", "path"],
    ["DELETE", "/local/download/a%00b", none, 400, "INVALID_PATH_FORMAT", "path"],
    ["DELETE", `/local/download/${"x".repeat(9000)}`, none, 400, "INVALID_PATH_FORMAT", "path"],
    ["DELETE", "/local/download", none, 405, "METHOD_NOT_ALLOWED", null],
    ["GET", "/local/download", none, 405, "METHOD_NOT_ALLOWED", null],
    ["GET", `/local/download/${NOBODY}`, none, 405, "METHOD_NOT_ALLOWED", null],
    ["PUT", "/local/download", START, 405, "METHOD_NOT_ALLOWED", null],
    ["POST", STREAM, {}, 405, "METHOD_NOT_ALLOWED", null],
    ["GET", "/local", none, 404, "INVALID_ENDPOINT", null],
    ["GET", "/local/models", none, 404, "INVALID_ENDPOINT", null],
    ["GET", `${STREAM}/`, none, 400, "INVALID_PATH_FORMAT", "path"],
    ["GET", `${STREAM}?a=%zz`, none, 400, "INVALID_REQUEST", "query"],
    ["GET", `${STREAM}?ticket=${LONG}`, none, 400, "INVALID_REQUEST", "ticket"],
    ["POST", "/local/download", none, 400, "INVALID_REQUEST", "repo_id"],
    ["POST", "/local/download", "{", 400, "INVALID_JSON", null],
    ["POST", "/local/download", [], 400, "INVALID_REQUEST", null],
    ["POST", "/local/download", "null", 400, "INVALID_REQUEST", "repo_id"],
    ["POST", "/local/download", {}, 400, "INVALID_REQUEST", "repo_id"],
    ["POST", "/local/download", { repo_id: "a/b" }, 400, "INVALID_REQUEST", "filename"],
    ["POST", "/local/download", { ...START, repo_id: 5 }, 400, "INVALID_REQUEST", "repo_id"],
    ["POST", "/local/download", { ...START, filename: null }, 400, "INVALID_REQUEST", "filename"],
    ["POST", "/local/download", { ...START, filename: "" }, 400, "INVALID_REQUEST", "filename"],
    ["POST", "/local/download", { ...START, filename: LONG }, 400, "INVALID_REQUEST", "filename"],
    ["POST", "/local/download", { ...START, repo_id: "../etc" }, 400, "INVALID_REQUEST", "repo_id"],
    ["POST", "/local/download", { ...START, filename: "../../x" }, 400, "INVALID_PATH", "filename"],
    ["POST", "/local/download", { ...START, more: "y".repeat(2_000_000) }, 413, "REQUEST_TOO_LARGE", null],
  ];
  test.each(rows.map((row) => [nameOf(row), row] as const))("%s", async (_, row) => {
    const [method, path, body, status, code, field] = row;
    const json = { "Content-Type": "application/json" };
    const answer = await served.call(method, path, body, body === none ? {} : json);
    expect([answer.status, answer.body.code]).toEqual([status, code]);
    expectShape(answer.body, code, field);
    expect(answer.headers.get("content-type")).toStartWith("application/json");
    expect(contract.misfits("LocalError", answer.body)).toEqual([]);
    if (status === 405) expect(answer.headers.get("allow")).toContain("OPTIONS");
  });

  test("F145 a form is 415, in this shape", async () => {
    const form = { "Content-Type": "text/plain" };
    const { status, body } = await served.call("POST", "/local/download", JSON.stringify(START), form);
    expect(status).toBe(415);
    expectShape(body, "UNSUPPORTED_MEDIA_TYPE", null);
  });

  test("F142 members that the seed does not have are ignored", async () => {
    const { status } = await served.call("POST", "/local/download", {
      ...START,
      url: 5,
      action: "cancel_all",
    });
    expect(status).toBe(202);
  });

  test("R19 A19 nothing was started or cancelled by any of them", async () => {
    const { body } = await served.call("GET", "/downloads?state=all");
    expect(body.active_downloads.map(({ filename }: Body) => filename)).toEqual([START.filename]);
  });
});

describe("A5 errors of the core", () => {
  test.each(Object.keys(VERDICTS) as ErrorCode[])("%s", async (code) => {
    const error = new DownloadError(code, "what failed and why", { param: "repo_id", retryAfterMs: 1500 });
    const answer = refusalResponse(error, "/local/download", 0);
    const word = code === "invalid_state" ? "DOWNLOAD_NOT_ACTIVE" : code.toUpperCase();
    const body = (await answer.json()) as Body;
    expectShape(body, word, "repo_id");
    expect(answer.status).toBeWithin(400, 600);
    expect(answer.headers.get("retry-after")).toBe("2");
    if (code === "internal") expect(body.message).not.toContain("what failed");
    else expect(body.message).toBe("what failed and why");
  });
});

describe("walls", () => {
  test("A15 without the key 401 in this shape; a ticket opens the stream once, and nothing else", async () => {
    await using served = await serve({ apiKey: KEY, product: { settings: { paused: true } } });
    const key = { "X-API-Key": KEY };
    for (const [method, path] of [
      ["POST", "/local/download"],
      ["GET", STREAM],
      ["DELETE", `/local/download/${NOBODY}`],
    ] as const) {
      const refused = await served.call(method, path, method === "POST" ? START : none);
      expect(refused.status).toBe(401);
      expectShape(refused.body, "UNAUTHORIZED", null);
    }
    expect((await served.call("POST", "/local/download", START, key)).status).toBe(202);
    const { ticket } = (await served.call("POST", "/v1/tickets", none, key)).body;
    expect((await served.call("POST", `/local/download?ticket=${ticket}`, START)).status).toBe(401);
    const client = await EventClient.open(`${served.base}${STREAM}?ticket=${ticket}`);
    await client.waitFor(({ data }) => data.filename === START.filename);
    client.close();
    expect((await served.call("GET", `${STREAM}?ticket=${ticket}`)).status).toBe(401);
  });

  test("A14 R21 pages of this machine may open the stream and read errors; others may change nothing", async () => {
    await using served = await serve({ product: { settings: { paused: true } } });
    const open = (Origin: string) => fetch(`${served.base}${STREAM}`, { headers: { Origin } });
    const local = await open("http://localhost:5173");
    expect(local.headers.get("access-control-allow-origin")).toBe("*");
    const foreign = await open("https://evil.example");
    expect(foreign.headers.get("access-control-allow-origin")).toBeNull();
    for (const stream of [local, foreign]) await stream.body?.cancel();
    const evil = { Origin: "https://evil.example" };
    for (const answer of [
      await served.call("POST", "/local/download", START, evil),
      await served.call("DELETE", `/local/download/${NOBODY}`, none, evil),
    ] satisfies Answer[]) {
      expect(answer.status).toBe(403);
      expectShape(answer.body, "FORBIDDEN_ORIGIN", null);
      expect(answer.headers.get("access-control-allow-origin")).toBeNull();
    }
    const missing = { Origin: "http://[::1]:1" };
    const { headers } = await served.call("DELETE", `/local/download/${NOBODY}`, none, missing);
    expect(headers.get("access-control-allow-origin")).toBe("*");
    expect(await served.product.downloads.active()).toEqual([]);
  });

  test("F178 another server's name is 421 in this shape", async () => {
    await using served = await serve({ product: { settings: { paused: true } } });
    const { status, body } = await rawRequest(served.port, getText(STREAM, { Host: "rebound.example" }));
    expect(status).toBe(421);
    expectShape(JSON.parse(new TextDecoder().decode(body)), "FORBIDDEN_HOST", null);
  });

  test("F213 too many streams are 503 in this shape, with Retry-After", async () => {
    await using served = await serve({ product: { settings: { paused: true } }, live: { maxReaders: 1 } });
    const client = await EventClient.open(`${served.base}${STREAM}`);
    await until(() => served.product.downloads.feed.subscribers === 1, "the first reader to watch");
    const refused = await served.call("GET", STREAM);
    expect(refused.status).toBe(503);
    expectShape(refused.body, "TOO_MANY_STREAMS", null);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    client.close();
  });
});
