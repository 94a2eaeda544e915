import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import {
  FILE_STATUS,
  presentAnswer,
  presentFile,
  presentView,
  VIEW_STATUS,
} from "../../src/api/wingman/present.ts";
import { STATES, type State } from "../../src/core/download.ts";
import { type Hub, startHub } from "../support/hub.ts";
import { Contract } from "./contract.ts";
import { snapshot } from "./snapshots.ts";
import { type Body, type Served, serve } from "./support.ts";
import { query, weights } from "./wingman-world.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

const PAIR = { ModelRepo: "acme/weights", FilePath: "a.bin" };
const QUERY = query(PAIR.ModelRepo, PAIR.FilePath);
const none = undefined;

let hub: Hub;
let served: Served;
let contract: Contract;
beforeAll(async () => {
  hub = await startHub({ repos: [weights("acme/weights", { "a.bin": 5000 })] });
  served = await serve({
    product: { hfEndpoint: hub.endpoint, settings: { paused: true } },
    corsOrigins: ["https://ui.example"],
  });
  contract = await Contract.of(served);
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  await hub[Symbol.asyncDispose]();
});

const shown = async (): Promise<Body[]> => (await served.call("GET", "/api/progress")).body;

describe("A5 A19 every refusal is {status: failed, progress, error}", () => {
  const download = "/api/download";
  const rows: [string, string, unknown, number, string][] = [
    ["GET", "/api/nonsense", none, 404, "nothing at this path"],
    ["GET", "/api", none, 404, "nothing at this path"],
    ["GET", "/api/", none, 404, "nothing at this path"],
    ["GET", "/api/download/", none, 404, "nothing at this path"],
    ["GET", "/api/download/x", none, 404, "nothing at this path"],
    ["GET", "/api/progress/x", none, 404, "nothing at this path"],
    ["GET", "/api/%zz", none, 400, "percent-encoded"],
    ["GET", "/api/a%00b", none, 400, "control character"],
    ["GET", `/api/${"a/".repeat(5000)}`, none, 400, "too long"],
    ["DELETE", download, none, 405, "GET, HEAD, OPTIONS, POST"],
    ["PUT", `${download}${QUERY}`, {}, 405, "GET, HEAD, OPTIONS, POST"],
    ["PATCH", download, PAIR, 405, "GET, HEAD, OPTIONS, POST"],
    ["POST", `/api/progress${QUERY}`, none, 405, "GET, HEAD, OPTIONS"],
    ["GET", download, none, 400, "Give 'ModelRepo' and 'FilePath'"],
    ["GET", `${download}?ModelRepo=acme/weights`, none, 400, "Give 'FilePath'"],
    ["GET", `${download}?FilePath=a.bin`, none, 400, "Give 'ModelRepo'"],
    ["GET", `${download}?ModelRepo=&FilePath=`, none, 400, "Give 'ModelRepo' and 'FilePath'"],
    ["GET", `${download}${QUERY}&retry=maybe`, none, 400, "'retry'"],
    ["GET", `${download}?ModelRepo=%ff&FilePath=a.bin`, none, 400, "percent-encoded"],
    ["POST", download, none, 400, "Give 'ModelRepo' and 'FilePath'"],
    ["POST", download, {}, 400, "Give 'ModelRepo' and 'FilePath'"],
    ["POST", download, [], 400, "JSON object"],
    ["POST", download, { ModelRepo: "acme/weights" }, 400, "Give 'FilePath'"],
    ["POST", download, { ...PAIR, ModelRepo: 5 }, 400, "'ModelRepo' must be text"],
    ["POST", download, { ...PAIR, FilePath: null }, 400, "'FilePath' must be text"],
    ["POST", download, { ...PAIR, retry: "true" }, 400, "'retry' must be true or false"],
    ["POST", download, { ModelRepo: "https://x/y", FilePath: "a" }, 400, "not a repository id"],
    ["POST", download, { ModelRepo: "a/b/c", FilePath: "a" }, 400, "not a repository id"],
    ["POST", download, { ModelRepo: "a/../b", FilePath: "a" }, 400, "not a repository id"],
    ["POST", download, { ModelRepo: "a/b", FilePath: "../../etc/passwd" }, 400, "is not accepted"],
    ["POST", download, { ModelRepo: "a/b", FilePath: "/etc/passwd" }, 400, "is not accepted"],
    ["POST", download, { ModelRepo: "a/b", FilePath: "C:\\x" }, 400, "is not accepted"],
    ["POST", download, { ModelRepo: "a/b", FilePath: "x.part" }, 400, "is not accepted"],
    ["POST", download, { ModelRepo: "x".repeat(513), FilePath: "a" }, 400, "at most 512"],
    ["POST", download, { ModelRepo: "a/b", FilePath: "x".repeat(5000) }, 400, "at most 4096"],
    ["POST", download, { ...PAIR, x: "y".repeat(1 << 20) }, 413, "larger than"],
  ];
  test.each(rows)("%s %s %j is %d", async (method, target, body, status, words) => {
    const answer = await served.call(method, target, body);
    expect([answer.status, Object.keys(answer.body)]).toEqual([status, ["status", "progress", "error"]]);
    expect(answer.body).toMatchObject({ status: "failed", progress: 0 });
    expect(answer.body.error).toContain(words);
    expect(contract.misfits("WingmanError", answer.body)).toEqual([]);
  });

  test("bodies that are no JSON, or not said to be", async () => {
    const json = { "Content-Type": "application/json" };
    const sent: [string, Record<string, string>, number][] = [
      ["{", json, 400],
      ["[".repeat(100_000), json, 400],
      ["ModelRepo=acme/weights&FilePath=a.bin", { "Content-Type": "application/x-www-form-urlencoded" }, 415],
      [JSON.stringify(PAIR), { "Content-Type": "text/plain" }, 415],
    ];
    for (const [body, headers, status] of sent) {
      const answer = await served.call("POST", "/api/download", body, headers);
      expect([answer.status, Object.keys(answer.body)]).toEqual([status, ["status", "progress", "error"]]);
    }
  });

  test("none of that has started anything", async () => {
    expect(await shown()).toEqual([]);
  });
});

describe("A14 pages of other origins", () => {
  const starting = `/api/download${QUERY}`;
  test("start nothing with an image tag, a link or a request of their own", async () => {
    const foreign = { Origin: "https://evil.example" };
    const refused: Record<string, string>[] = [
      { "Sec-Fetch-Site": "cross-site" },
      { "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image" },
      foreign,
      { ...foreign, "Sec-Fetch-Site": "cross-site" },
    ];
    for (const headers of refused)
      for (const method of ["GET", "POST"]) {
        const answer = await served.call(method, starting, undefined, headers);
        expect([answer.status, Object.keys(answer.body)]).toEqual([403, ["status", "progress", "error"]]);
        expect(answer.headers.has("access-control-allow-origin")).toBe(headers.Origin === undefined);
      }
    const readers = await served.call("GET", "/api/progress", undefined, foreign);
    expect(readers.headers.has("access-control-allow-origin")).toBe(false);
  });

  test("R164 a page of this machine, or one that is named, may start and watch", async () => {
    for (const Origin of ["http://localhost:3000", "https://ui.example"]) {
      const answer = await served.call("GET", starting, undefined, { Origin });
      expect([200, 202]).toContain(answer.status);
      expect(answer.headers.get("access-control-allow-origin")).toBe("*");
    }
    for (const site of ["same-origin", "same-site", "none"])
      expect((await served.call("GET", starting, undefined, { "Sec-Fetch-Site": site })).status).toBe(200);
    expect((await shown()).length).toBe(1);
  });
});

describe("A4 R150 R163 words", () => {
  const WORDS: Record<State, [string, string, number, string | null]> = {
    queued: ["queued", "queued", 10, null],
    downloading: ["in-progress", "downloading", 10, null],
    paused: ["queued", "queued", 10, null],
    verifying: ["in-progress", "downloading", 10, null],
    creating_engine: ["in-progress", "downloading", 10, null],
    completed: ["done", "done", 100, null],
    failed: ["failed", "failed", 10, "it broke"],
    cancelled: ["failed", "failed", 10, "Download cancelled"],
  };
  test.each([...STATES])("%s", (state) => {
    const [file, view, progress, error] = WORDS[state];
    const download = snapshot({ state, error: { code: "network", message: "it broke" } });
    expect([FILE_STATUS[state], VIEW_STATUS[state]]).toEqual([file, view] as never);
    expect(presentFile(download)).toEqual({ status: file, progress, error } as never);
    expect(presentView(download)).toMatchObject({ status: view, progress, error, state });
    expect(presentAnswer(download, "x")).toMatchObject({
      status: file,
      progress,
      error,
      state,
      message: "x",
    });
    expect(contract.misfits("WingmanProgress", presentView(download))).toEqual([]);
    expect(contract.misfits("WingmanDownload", presentAnswer(download, "x"))).toEqual([]);
  });

  test("R149 A13 progress is 0 to 100, and a hundred only with the last byte", () => {
    const percent = (bytes: number, total: number | null) => presentFile(snapshot({ bytes, total })).progress;
    expect([percent(0, null), percent(500, null), percent(0, 0)]).toEqual([0, 0, 0]);
    expect([percent(999_999, 1_000_000), percent(1, 3), percent(7, 5)]).toEqual([99.9, 33.3, 100]);
    expect(presentFile(snapshot({ state: "completed", bytes: 0, total: 0 })).progress).toBe(100);
  });
});

test("the document has the family's routes with their own ids, tag, answers and true examples", async () => {
  const document = (await served.api.openapi()) as Body;
  expect((await new Validator().validate(structuredClone(document))).valid).toBe(true);
  const routes = contract.operations.filter(({ operation }) => operation.tags.includes("wingman"));
  expect(routes.map(({ method, path, operation }) => `${method} ${path} ${operation.operationId}`)).toEqual([
    "get /api/download wingmanDownload",
    "post /api/download wingmanPostDownload",
    "get /api/progress wingmanProgress",
  ]);
  for (const { operation } of routes)
    for (const [status, { content }] of Object.entries<Body>(operation.responses)) {
      const { schema, example } = content?.["application/json"] ?? {};
      if (status >= "400" || status === "default")
        expect([status, schema]).toEqual([status, { $ref: "#/components/schemas/WingmanError" }]);
      else if (status === "200" || status === "202")
        expect([
          status,
          contract.misfits(example.message ? "WingmanDownload" : "WingmanProgress", example),
        ]).toEqual([status, []]);
    }
  expect(document.paths["/api/progress"].get.responses[200].content["text/event-stream"].schema.type).toBe(
    "string",
  );
});
