import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { ggufRepo, type Hub, startHub } from "../support/hub.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { Contract } from "./contract.ts";
import { type Answer, type Body, MB, type Served, serve } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

let hub: Hub;
let origin: Origin;
let served: Served;
let contract: Contract;
beforeAll(async () => {
  hub = await startHub({
    repos: [
      ggufRepo("acme/tiny-gguf", { quantizations: { Q4_K_M: MB } }),
      { ...ggufRepo("acme/gated-gguf", { quantizations: { F16: MB } }), gated: "auto" },
    ],
  });
  origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 1, size: 5000 }] });
  served = await serve({ product: { hfEndpoint: hub.endpoint } });
  contract = await Contract.of(served);
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  await origin[Symbol.asyncDispose]();
  await hub[Symbol.asyncDispose]();
});

async function call(method: string, path: string, rest = "", body?: object, headers = {}): Promise<Answer> {
  const target = rest.startsWith("?") ? path + rest : path.replace(/\{\w+\}/, rest);
  const answer = await served.call(method, target, body, headers);
  expect(contract.problems(method, path, answer)).toEqual([]);
  return answer;
}

/** Downloads the little file under this id, to its end. */
async function fetched(model_id: string): Promise<Body> {
  const { body } = await call("POST", "/v1/downloads", "", {
    url: `${origin.url("/m.bin")}?${model_id}`,
    model_id,
  });
  await served.product.reaches(body.id, "completed");
  return body;
}

describe("GET /v1/downloads", () => {
  test("A7 without a query: unfinished ones, and those that have just ended but are not counted", async () => {
    await fetched("lingers");
    const { body } = await call("GET", "/v1/downloads");
    expect(Object.keys(body)).toEqual(["active_downloads", "total_active", "summary", "timestamp"]);
    expect(body.active_downloads.map((d: Body) => [d.model_id, d.status])).toEqual([
      ["lingers", "completed"],
    ]);
    expect([body.total_active, body.summary.total_active]).toEqual([0, 0]);
    await using hasty = await serve({ product: { lingerMs: 0 } });
    await hasty.call("POST", "/v1/downloads", { url: origin.url("/m.bin"), model_id: "x" });
    await hasty.product.reaches("x", "completed");
    expect((await hasty.call("GET", "/downloads")).body.active_downloads).toEqual([]);
  });

  test("F156 filters and pages, history included", async () => {
    await using many = await serve({ product: { settings: { paused: true } } });
    for (let i = 0; i < 25; i++)
      await many.call("POST", "/v1/downloads", { url: `http://127.0.0.1:9/${i}`, model_id: `m${i}` });
    await many.call("POST", "/v1/downloads/m3/cancel");
    await many.call("POST", "/v1/downloads/m4/pause");
    const page = async (query: string) => (await many.call("GET", `/v1/downloads?${query}`)).body;
    const found: string[] = [];
    for (let cursor = ""; ; ) {
      const body = await page(`state=all&limit=10${cursor}`);
      expect(body.active_downloads.length).toBeLessThanOrEqual(10);
      expect(body.total_active).toBe(24);
      expect(body.summary).toMatchObject({
        total_active: 24,
        regular_downloads: 24,
        llm_model_downloads: 24,
      });
      found.push(...body.active_downloads.map((d: Body) => d.model_id));
      if (body.next_cursor === undefined) break;
      cursor = `&cursor=${encodeURIComponent(body.next_cursor)}`;
    }
    expect(found).toEqual(Array.from({ length: 25 }, (_, i) => `m${i}`));
    const ids = async (query: string) => (await page(query)).active_downloads.map((d: Body) => d.model_id);
    expect(await ids("state=cancelled")).toEqual(["m3"]);
    expect(await ids("state=paused,cancelled")).toEqual(["m3", "m4"]);
    expect(await ids("state=finished")).toEqual(["m3"]);
    expect(await ids("state=active&limit=1000")).not.toContain("m3");
    expect(await ids("q=M24")).toEqual(["m24"]);
    expect(await ids("q=%25")).toEqual([]);
    expect(await ids("provider=huggingface")).toEqual([]);
    expect((await ids("provider=url")).length).toBe(24);
    await many.call("POST", "/v1/downloads/m5/cancel");
    expect((await page("limit=1")).total_active).toBe(23);
  });
});

describe("settings", () => {
  test("are changed all or none, kept, and in force at once", async () => {
    const first = await serve();
    const before = (await first.call("GET", "/v1/settings")).body;
    const bad = { max_concurrent: 7, connections_per_download: 65 };
    expect((await first.call("PATCH", "/v1/settings", bad)).status).toBe(400);
    expect((await first.call("GET", "/v1/settings")).body).toEqual(before);
    const change = { max_concurrent: 7, rate_limit_bps: 1000, paused: true, retry: { jitter: 0 } };
    const changed = await first.call("PATCH", "/v1/settings", change);
    expect(changed.body).toEqual({ ...before, ...change, retry: { ...before.retry, jitter: 0 } });
    await first.call("POST", "/v1/downloads", { url: origin.url("/m.bin"), model_id: "held" });
    expect((await first.call("GET", "/v1/downloads/held")).body.state).toBe("queued");
    await first.api.stop();
    await first.product.close();
    await using second = await serve({ product: { dir: first.product.dir } });
    expect((await second.call("GET", "/v1/settings")).body).toEqual(changed.body);
    await second.call("PATCH", "/v1/settings", { paused: false, rate_limit_bps: 0 });
    await second.product.reaches("held", "completed");
  });
});

describe("history", () => {
  test("a finished record is removed, its file only when asked for; an unfinished one is refused", async () => {
    const [a, b] = [await fetched("a"), await fetched("b")];
    const file = async (id: string) => (await call("GET", "/v1/downloads/{id}", id)).body.local_path;
    const [fileA, fileB] = [await file("a"), await file("b")];
    expect((await call("DELETE", "/v1/history/{id}", "a")).body.removed_count).toBe(1);
    expect((await served.call("DELETE", `/v1/history/${b.id}?files=true`)).status).toBe(200);
    expect([existsSync(fileA), existsSync(fileB)]).toEqual([true, false]);
    expect((await call("GET", "/v1/downloads/{id}", a.id)).status).toBe(404);
    await call("PATCH", "/v1/settings", "", { paused: true });
    await call("POST", "/v1/downloads", "", { url: origin.url("/m.bin"), model_id: "waits" });
    expect((await call("DELETE", "/v1/history/{id}", "waits")).status).toBe(400);
    await fetchedNothingMore();
  });

  async function fetchedNothingMore() {
    const { body } = await call("DELETE", "/v1/history", "?files=false");
    expect(body.removed_count).toBeGreaterThan(0);
    expect((await call("GET", "/v1/downloads", "?state=all")).body.active_downloads.length).toBe(1);
    await call("DELETE", "/v1/downloads");
    await call("PATCH", "/v1/settings", "", { paused: false });
  }
});

describe("hub", () => {
  test("lists its sources, and a repository's files for pickers", async () => {
    const { body } = await call("GET", "/v1/sources");
    expect(body.sources).toContainEqual(expect.objectContaining({ name: "huggingface", lists: true }));
    const repo = hub.repo("acme/tiny-gguf");
    const listing = await served.call(
      "GET",
      "/v1/sources/huggingface/files?repo=acme/tiny-gguf&revision=main",
    );
    expect(contract.problems("GET", "/v1/sources/{provider}/files", listing)).toEqual([]);
    const file = repo.file("tiny-Q4_K_M.gguf");
    expect(listing.body.repo_id).toBe("acme/tiny-gguf");
    expect(listing.body.files).toContainEqual({
      path: "tiny-Q4_K_M.gguf",
      size: file.size,
      digest: `sha256:${file.sha256}`,
      quantization: "Q4_K_M",
    });
    const missing = await served.call("GET", "/v1/sources/huggingface/files?repo=acme/none");
    expect(missing.status).toBeOneOf([403, 404]);
    expect(missing.body.error.code).toBeString();
  });

  test("a hub's token goes in a header, is used, and shown nowhere", async () => {
    const token = hub.addUser("ada", { access: { "acme/gated-gguf": "granted" } });
    const answer = await served.call("GET", "/v1/sources/huggingface/files?repo=acme/gated-gguf", undefined, {
      "X-Hub-Token": token,
    });
    expect([answer.status, answer.body.gated]).toEqual([200, true]);
    expect(served.logged.join()).not.toContain(token);
  });
});

describe("files", () => {
  test("are listed, verified and deleted", async () => {
    await fetched("file");
    const { body } = await call("GET", "/v1/files", "?limit=1000");
    const mine: Body = body.files.find((f: Body) => f.model_id === "file");
    expect(mine).toMatchObject({ size: 5000, verified: false, exists: true, provider: "url", state: "done" });
    expect(mine).toMatchObject({ verification: "unverified", download_state: "completed" });
    const verified = await call("POST", "/v1/files/{id}/verify", String(mine.id));
    expect(verified.body).toMatchObject({ success: true, computed: `sha256:${origin.sha256("/m.bin")}` });
    expect(verified.body).not.toHaveProperty("matches");
    writeFileSync(mine.local_path, Buffer.alloc(5000));
    const spoiled = await call("POST", "/v1/files/{id}/verify", String(mine.id));
    expect(spoiled.body).toMatchObject({ success: false, matches: false, file: { matches: false } });
    const later: Body[] = (await call("GET", "/v1/files", "?limit=1000")).body.files;
    expect(later.find((f) => f.id === mine.id)).toMatchObject({
      verification: "damaged",
      checked_at: spoiled.body.file.checked_at,
    });
    expect((await call("DELETE", "/v1/files/{id}", String(mine.id))).body.success).toBe(true);
    expect(existsSync(mine.local_path)).toBe(false);
    expect((await call("DELETE", "/v1/files/{id}", String(mine.id))).status).toBe(404);
  });

  test("A22 one that was deleted by hand: its download tells where that is asked for", async () => {
    const { id } = await fetched("by-hand");
    const files = async (query: string): Promise<Body[]> =>
      (await call("GET", "/v1/downloads/{id}", id + query)).body.files;
    const existing = async (query: string) => (await files(query)).map(({ exists }) => exists);
    expect([await existing(""), await existing("?exists=true")]).toEqual([[undefined], [true]]);
    rmSync((await files(""))[0].local_path);
    expect([await existing("?exists=false"), await existing("?exists=true")]).toEqual([[undefined], [false]]);
  });

  test("R131 the space there is", async () => {
    const { body } = await call("GET", "/v1/storage");
    expect(body.free_bytes).toBeGreaterThan(0);
    expect(Object.keys(body)).toEqual(["free_bytes", "reserved_bytes", "models_bytes", "partial_bytes"]);
  });
});

describe("service", () => {
  test("health, guide and metrics", async () => {
    expect((await call("GET", "/health")).body).toEqual({
      status: "ok",
      version: "0.0.0",
      uptime_seconds: expect.any(Number),
    });
    expect((await call("GET", "/llms.txt")).body).toContain("POST /v1/downloads");
    const { body, headers } = await call("GET", "/metrics");
    expect(headers.get("content-type")).toStartWith("text/plain");
    expect(body).toMatch(/^modelhaul_http_requests_total\{method="GET",status="200"\} \d+$/m);
    expect(body).toMatch(/^modelhaul_downloads\{state="queued"\} 0$/m);
    expect(body).not.toContain("model_id");
  });

  test("other rooms may add their metrics", async () => {
    const { Gauge } = await import("prom-client");
    await using more = await serve({
      metrics: (registry) => new Gauge({ name: "more", help: "more", registers: [registry] }).set(5),
    });
    expect((await more.call("GET", "/metrics")).body).toMatch(/^more 5$/m);
  });
});
