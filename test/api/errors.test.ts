import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { getText, rawRequest } from "../support/raw.ts";
import { type Served, serve } from "./support.ts";

let served: Served;
beforeAll(async () => {
  served = await serve({ product: { settings: { paused: true } } });
  await served.call("POST", "/v1/downloads", { url: "http://127.0.0.1:9/done.bin", model_id: "ended" });
  await served.call("POST", "/v1/downloads/ended/cancel");
  await served.call("POST", "/v1/downloads", { url: "http://127.0.0.1:9/here.bin", model_id: "here" });
});
afterAll(() => served[Symbol.asyncDispose]());

const INVALID = "invalid_request_error";
const MISSING = "not_found_error";
const LONG = `/v1/downloads/${"a/".repeat(5000)}`;
/** No body. */
const none = undefined;

describe("R91 every error is exactly {error: {message, type, param, code}}", () => {
  /** method, path, body, status, type, param, code */
  const rows: [string, string, unknown, number, string, string | null, string | null][] = [
    ["GET", "/downloads/nope", none, 404, MISSING, "model_id", "download_not_found"],
    ["GET", "/v1/downloads/Here", none, 404, MISSING, "model_id", "download_not_found"],
    ["GET", "/download-progress/nope", none, 404, MISSING, "model_id", "download_not_found"],
    ["POST", "/downloads/nope/cancel", none, 404, MISSING, "model_id", null],
    ["DELETE", "/downloads/nope", none, 404, MISSING, "model_id", null],
    ["POST", "/downloads/ended/cancel", none, 400, INVALID, null, null],
    ["DELETE", "/v1/downloads/ended", none, 400, INVALID, null, null],
    ["GET", "/v1/downloads/here/nonsense", none, 400, INVALID, "path", "invalid_endpoint"],
    ["GET", "/v1/downloads/acme/tiny/file.gguf", none, 400, INVALID, "path", "invalid_endpoint"],
    ["GET", "/v1/nonsense", none, 400, INVALID, "path", "invalid_endpoint"],
    ["GET", "/nonsense", none, 404, MISSING, null, "not_found"],
    ["GET", "/v2/downloads", none, 404, MISSING, null, "not_found"],
    ["GET", "/V1/downloads", none, 404, MISSING, null, "not_found"],
    ...["/downloads/", "/v1/downloads/", "/download-progress/", "/v1/downloads//events"].map(
      (path): (typeof rows)[number] => ["GET", path, none, 400, INVALID, "path", "invalid_path_format"],
    ),
    ["DELETE", "/v1/downloads/", none, 400, INVALID, "path", "invalid_path_format"],
    ["POST", "/v1/downloads//cancel", none, 400, INVALID, "path", "invalid_path_format"],
    ["GET", "/v1/downloads/%zz", none, 400, INVALID, "path", "invalid_path_format"],
    ["GET", "/v1/downloads/%c0%af", none, 400, INVALID, "path", "invalid_path_format"],
    ["GET", "/v1/downloads/a%00b", none, 400, INVALID, "path", "invalid_path_format"],
    ["GET", LONG, none, 400, INVALID, "path", "invalid_path_format"],
    ["GET", "/v1/downloads?q=%zz", none, 400, INVALID, "query", "invalid_request"],
    ["GET", "/v1/downloads?limit=-1", none, 400, INVALID, "limit", "invalid_request"],
    ["GET", "/v1/downloads?limit=0", none, 400, INVALID, "limit", "invalid_request"],
    ["GET", "/v1/downloads?limit=1000000000", none, 400, INVALID, "limit", "invalid_request"],
    ["GET", "/v1/downloads?limit=ten", none, 400, INVALID, "limit", "invalid_request"],
    ["GET", "/v1/downloads?cursor=broken", none, 400, INVALID, "cursor", "invalid_request"],
    ["GET", "/v1/downloads?state=asleep", none, 400, INVALID, "state", "invalid_request"],
    ["POST", "/v1/downloads", none, 400, INVALID, null, "invalid_request"],
    ["POST", "/v1/downloads", {}, 400, INVALID, null, "invalid_request"],
    ["POST", "/v1/downloads", [], 400, INVALID, null, "invalid_request"],
    ["POST", "/v1/downloads", { action: "other" }, 400, INVALID, "action", "invalid_request"],
    [
      "POST",
      "/v1/downloads",
      { action: "cancel_all", url: "http://x/y" },
      400,
      INVALID,
      "action",
      "invalid_request",
    ],
    ["POST", "/v1/downloads", { url: 5 }, 400, INVALID, "url", "invalid_request"],
    [
      "POST",
      "/v1/downloads",
      { url: "http://x/y", priority: "5" },
      400,
      INVALID,
      "priority",
      "invalid_request",
    ],
    [
      "POST",
      "/v1/downloads",
      { url: "http://x/y", priority: 1.5 },
      400,
      INVALID,
      "priority",
      "invalid_request",
    ],
    [
      "POST",
      "/v1/downloads",
      { url: "http://x/y", rate_limit_bps: 2 ** 53 },
      400,
      INVALID,
      "rate_limit_bps",
      "invalid_request",
    ],
    [
      "POST",
      "/v1/downloads",
      { url: "http://x/y", retry: { jitter: 2 } },
      400,
      INVALID,
      "retry.jitter",
      "invalid_request",
    ],
    [
      "POST",
      "/v1/downloads",
      { url: "http://x/y", layout: "zip" },
      400,
      INVALID,
      "layout",
      "invalid_request",
    ],
    [
      "POST",
      "/v1/downloads",
      { url: "http://x/y", sha256: "a".repeat(63) },
      400,
      INVALID,
      "sha256",
      "invalid_request",
    ],
    [
      "POST",
      "/v1/downloads",
      { url: "http://x/y", headers: { "A B": "x" } },
      400,
      INVALID,
      "headers",
      "invalid_request",
    ],
    [
      "POST",
      "/v1/downloads",
      { url: "http://x/y", headers: { a: "x\r\nb: c" } },
      400,
      INVALID,
      "headers",
      "invalid_request",
    ],
    ["POST", "/v1/downloads", { url: "http://x/y", token: "a\nb" }, 400, INVALID, "token", "invalid_request"],
    [
      "POST",
      "/v1/downloads",
      { url: "http://x/y", engine: {} },
      400,
      INVALID,
      "engine.engine_id",
      "invalid_request",
    ],
    [
      "POST",
      "/v1/downloads",
      { url: "http://x/y", engine: { engine_id: "e", main_gpu_id: 16 } },
      400,
      INVALID,
      "engine.main_gpu_id",
      "invalid_request",
    ],
    [
      "POST",
      "/v1/downloads",
      { url: "http://x/y", engine: { engine_id: "e", loading_parameters: { n_ctx: 10, n_keep: 11 } } },
      400,
      INVALID,
      "loading_parameters.n_keep",
      "invalid_request",
    ],
    ["POST", "/v1/downloads", { url: "http://user:pw@host/x" }, 400, INVALID, "url", "invalid_url"],
    ["POST", "/v1/downloads", { url: "file:///etc/passwd" }, 400, INVALID, "url", "invalid_url"],
    [
      "POST",
      "/v1/downloads",
      { provider: "openai", model: "x" },
      400,
      INVALID,
      "provider",
      "unsupported_provider",
    ],
    ...["cancel", "pause", "resume", "events"].map((model_id): (typeof rows)[number] => [
      "POST",
      "/v1/downloads",
      { url: "http://x/y", model_id },
      400,
      INVALID,
      "model_id",
      "invalid_request",
    ]),
    [
      "POST",
      "/v1/downloads",
      { url: "http://127.0.0.1:9/other", model_id: "here" },
      409,
      INVALID,
      "model_id",
      "model_id_conflict",
    ],
    ["PATCH", "/v1/downloads/here", {}, 400, INVALID, null, "invalid_request"],
    ["PATCH", "/v1/downloads/here", { before: "a", after: "b" }, 400, INVALID, "position", "invalid_request"],
    ["PATCH", "/v1/downloads/nope", { priority: 1 }, 404, MISSING, "model_id", "download_not_found"],
    ["PATCH", "/v1/settings", { max_concurrent: 0 }, 400, INVALID, "max_concurrent", "invalid_request"],
    ["PATCH", "/v1/settings", { paused: "yes" }, 400, INVALID, "paused", "invalid_request"],
    ["DELETE", "/v1/history/here", none, 400, INVALID, null, null],
    ["DELETE", "/v1/history?files=perhaps", none, 400, INVALID, "files", "invalid_request"],
    ["GET", "/v1/sources/huggingface/files", none, 400, INVALID, "repo", "invalid_request"],
    ["GET", "/v1/sources/nope/files?repo=a/b", none, 400, INVALID, "provider", "unsupported_provider"],
    ["DELETE", "/v1/files/7", none, 404, MISSING, "id", "file_not_found"],
    ["DELETE", "/v1/files/seven", none, 400, INVALID, "id", "invalid_request"],
    ["POST", "/v1/session", {}, 400, INVALID, "key", "invalid_request"],
    ["GET", "/v1/ws", none, 426, INVALID, null, "upgrade_required"],
    ["GET", "/v1/downloads/nope/events", none, 404, MISSING, "model_id", "download_not_found"],
  ];
  test.each(rows)("%s %s %j -> %d", async (method, path, body, status, type, param, code) => {
    const answer = await served.call(method, path, body);
    expect(answer.status).toBe(status);
    expect(answer.body).toEqual({ error: { message: expect.any(String), type, param, code } });
    expect(answer.headers.get("content-type")).toStartWith("application/json");
  });

  test("R92 R96 the seed's own sentences", async () => {
    const sentence = async (path: string) => (await served.call("GET", path)).body.error.message;
    expect(await sentence("/v1/downloads/model-name")).toBe("No download found for model ID: model-name");
    expect(await sentence("/v1/downloads/")).toBe("Cannot extract model ID from request path");
  });

  test.each([
    ["//v1/downloads", 404],
    ["/v1//downloads", 400],
    ["/v1/./downloads", 200],
    ["/v1/downloads/../nonsense", 400],
    ["/v1/%2e%2e/health", 200],
    ["/health/", 404],
    ["/HEALTH", 404],
  ])("F191 the raw target %s is %d", async (target, status) => {
    expect((await rawRequest(served.port, getText(target, { Host: "localhost" }))).status).toBe(status);
  });

  test("F142 members nobody knows are ignored, in bodies and queries", async () => {
    const body = {
      url: "http://127.0.0.1:9/extra",
      model_id: "extra",
      retry: { nonsense: 1 },
      nonsense: { a: [] },
    };
    expect((await served.call("POST", "/v1/downloads?nonsense=1", body)).status).toBe(202);
    expect((await served.call("GET", "/v1/downloads?nonsense=1")).status).toBe(200);
  });

  test("A5 a pause or resume that fails has success and model_id beside it", async () => {
    for (const verb of ["pause", "resume"]) {
      const unknown = await served.call("POST", `/downloads/acme%2Fnope/${verb}`);
      expect([unknown.status, unknown.body]).toEqual([
        404,
        {
          success: false,
          model_id: "acme/nope",
          error: { message: expect.any(String), type: MISSING, param: "model_id", code: null },
        },
      ]);
      const ended = await served.call("POST", `/downloads/ended/${verb}`);
      expect([ended.status, ended.body.success, ended.body.error.code]).toEqual([400, false, null]);
    }
  });

  test("A21 the refusal to resume one that has ended names retry", async () => {
    const { body } = await served.call("POST", "/v1/downloads/ended/resume");
    expect(body.error.message).toContain("/v1/downloads/ended/retry");
  });

  test("F160 a wrong method is 405 and says which are right; TRACE is refused", async () => {
    const put = await served.call("PUT", "/v1/downloads/here", {});
    expect([put.status, put.headers.get("allow"), put.body.error.code]).toEqual([
      405,
      "DELETE, GET, HEAD, OPTIONS, PATCH",
      "method_not_allowed",
    ]);
    const trace = await rawRequest(
      served.port,
      getText("/v1/downloads", { Host: "localhost" }).replace("GET", "TRACE"),
    );
    expect(trace.status).toBe(405);
    expect(trace.text).not.toContain("TRACE /v1");
  });
});

describe("bodies", () => {
  const send = (body: string | Uint8Array<ArrayBuffer>, type: string | null, path = "/v1/downloads") =>
    fetch(served.base + path, {
      method: "POST",
      // A Blob without a type, so that fetch adds no Content-Type of its own.
      body: new Blob([body]),
      headers: type === null ? {} : { "Content-Type": type },
    });
  const code = async (answer: Response) => [answer.status, (await answer.json()).error.code];

  test("F137 F146 malformed JSON and invalid UTF-8 are 400", async () => {
    expect(await code(await send("{bad", "application/json"))).toEqual([400, "invalid_json"]);
    const bytes = new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]);
    expect(await code(await send(bytes, "application/json"))).toEqual([400, "invalid_json"]);
  });

  test.each([
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "application/jsonx",
    null,
  ])("F145 a body of type %p is 415", async (type) => {
    expect(await code(await send('{"url":"http://x/y"}', type))).toEqual([415, "unsupported_media_type"]);
  });

  test("R60 an empty body is good with Content-Type: application/json and without one", async () => {
    const json = { "Content-Type": "application/json" };
    expect((await served.call("POST", "/v1/downloads/pause", undefined, json)).status).toBe(200);
    expect((await served.call("POST", "/v1/downloads/resume")).status).toBe(200);
    expect((await send("", "application/json", "/v1/downloads/here/pause")).status).toBe(200);
    expect((await send("", "application/json; charset=utf-8", "/v1/downloads/here/resume")).status).toBe(200);
    expect((await send("", "text/plain", "/v1/downloads/here/pause")).status).toBe(415);
  });

  test("F143 more than 1 MiB is 413 before it has been sent, with a length and without", async () => {
    const head = "POST /v1/downloads HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    const declared = await rawRequest(served.port, `${head}Content-Length: 1048577\r\n\r\n{`);
    expect([declared.status, JSON.parse(Buffer.from(declared.body).toString()).error.code]).toEqual([
      413,
      "request_too_large",
    ]);
    const chunk = `${(256 * 1024).toString(16)}\r\n${" ".repeat(256 * 1024)}\r\n`;
    const chunked = await rawRequest(
      served.port,
      `${head}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(5)}`,
      {
        until: (all) => all.includes("request_too_large"),
      },
    );
    expect(chunked.status).toBe(413);
  });

  test("F140 F141 deep nesting and names of the prototype do no harm", async () => {
    const deep = `{"url":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
    expect(await code(await send(deep, "application/json"))).toEqual([400, "invalid_json"]);
    const odd = '{"__proto__":{"url":"http://x/y"},"constructor":{"prototype":{"polluted":1}}}';
    expect((await send(odd, "application/json")).status).toBe(400);
    const headers =
      '{"url":"http://127.0.0.1:9/p","model_id":"proto","headers":{"__proto__":"x"},"nonsense":1}';
    expect((await send(headers, "application/json")).status).toBe(202);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    expect(await served.call("GET", "/v1/downloads/proto")).not.toHaveProperty("body.nonsense");
  });
});

describe("what never goes out", () => {
  test("F164 no refusal repeats what was sent, neither does the log", async () => {
    const secret = "hf_SECRETsecretSECRET";
    const bodies = [
      { url: "http://x/y", token: secret, priority: secret },
      { url: 1, token: secret },
      { url: `http://user:${secret}@x/y` },
      { url: "http://x/y", headers: { "bad name": secret } },
      { url: "http://x/y", headers: { Authorization: `${secret}\n` } },
      { url: "http://x/y", layout: secret },
    ];
    for (const body of bodies) {
      const answer = await served.call("POST", "/v1/downloads", body);
      expect(answer.status).toBe(400);
      expect(JSON.stringify(answer.body)).not.toContain(secret);
    }
    expect(served.logged.join("\n")).not.toContain(secret);
  });

  test("R97 F164 an unexpected error is 500 without its text; the log has it", async () => {
    await using broken = await serve();
    broken.product.downloads.storage = () => Promise.reject(new Error("SELECT secret FROM /var/lib"));
    const { status, body } = await broken.call("GET", "/v1/storage");
    expect([status, body]).toEqual([
      500,
      {
        error: {
          message: "Server error: Internal processing failed",
          type: "server_error",
          param: null,
          code: null,
        },
      },
    ]);
    expect(broken.logged.join("\n")).toContain("SELECT secret");
  });
});
