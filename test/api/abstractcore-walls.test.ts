import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { ggufRepo, type Hub, startHub } from "../support/hub.ts";
import { until } from "../support/until.ts";
import { all, hf, listen, PATH } from "./abstractcore-world.ts";
import { type Body, call, KEY, type Served, type ServeOptions, serve } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

const SMALL = "acme/small-gguf";

let hub: Hub;
beforeAll(async () => {
  hub = await startHub({ repos: [ggufRepo(SMALL)] });
});
afterAll(() => hub.stop());

const product = (options: ServeOptions = {}): Promise<Served> =>
  serve({ ...options, product: { hfEndpoint: hub.endpoint, ...options.product } });

describe("walls", () => {
  const started = async (served: Served) =>
    (await served.product.downloads.list({}, { limit: 10 })).items.length;

  test.each([
    ["no model", "?provider=huggingface", 400],
    ["no provider", `?model=${SMALL}`, 400],
    ["nothing", "", 400],
    ["an empty model", "?provider=huggingface&model=", 400],
    ["an empty provider", `?provider=&model=${SMALL}`, 400],
    ["a model of many characters", `?provider=huggingface&model=${"x".repeat(600)}`, 400],
    ["another layout", `?provider=huggingface&model=${SMALL}&layout=round`, 400],
    ["a control character", "?provider=huggingface&model=a%00b", 400],
    ["broken encoding", "?provider=huggingface&model=%ff", 400],
  ])("A5 %s is refused in this family's shape", async (_what, search, status) => {
    await using served = await product();
    const answer = await served.call("GET", PATH + search);
    expect([answer.status, await started(served)]).toEqual([status, 0]);
    expect(answer.headers.get("content-type")).toStartWith("text/event-stream");
    expect(answer.body).toMatch(/^data: \{"error":"[^"]{10,}"\}\n\n$/);
  });

  test.each([
    ["GET", "/api/models", 404],
    ["GET", "/api/models/", 404],
    ["GET", "/api/models/nothing", 404],
    ["GET", `${PATH}/more`, 404],
    ["POST", PATH, 405],
    ["DELETE", PATH, 405],
    ["PUT", "/api/models/x", 404],
  ])("A5 %s %s is refused in this family's shape", async (method, path, status) => {
    await using served = await product();
    const answer = await served.call(method, path, method === "GET" ? undefined : "{nonsense", {
      "Content-Type": "application/json",
    });
    expect(answer.status).toBe(status);
    expect(answer.body).toMatch(/^data: \{"error":".+"\}\n\n$/);
    if (status === 405) expect(answer.headers.get("allow")).toContain("GET");
  });

  test("HEAD looks and starts nothing", async () => {
    await using served = await product();
    const answer = await served.call("HEAD", hf(SMALL));
    expect([answer.status, answer.headers.get("content-type"), await started(served)]).toEqual([
      200,
      "text/event-stream; charset=utf-8",
      0,
    ]);
  });

  test.each([
    ["an image tag of another site", { "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors" }, 403],
    [
      "an EventSource of another site",
      { "Sec-Fetch-Site": "cross-site", Origin: "https://evil.example" },
      403,
    ],
    ["a page in a sandbox", { Origin: "null" }, 403],
    ["a page of this server", { "Sec-Fetch-Site": "same-origin" }, 200],
    ["a page of this machine", { "Sec-Fetch-Site": "cross-site", Origin: "http://localhost:3000" }, 200],
    ["somebody typing", { "Sec-Fetch-Site": "none" }, 200],
    ["a program", {}, 200],
    ["a page the operator named", { "Sec-Fetch-Site": "cross-site", Origin: "https://ui.example" }, 200],
  ])("A14 R184 %s", async (_who, headers, status) => {
    await using served = await product({
      corsOrigins: ["https://ui.example"],
      product: { settings: { paused: true } },
    });
    const answer = await fetch(served.base + hf(SMALL), { headers: headers as Record<string, string> });
    expect(answer.status).toBe(status);
    if (status !== 200) expect(await answer.text()).toMatch(/^data: \{"error":/);
    else {
      // The first event comes before the download is there.
      await until(async () => (await started(served)) === 1, "the download");
      await answer.body?.cancel();
    }
    expect(await started(served)).toBe(status === 200 ? 1 : 0);
  });

  test("A15 with a key: a ticket opens it, the hub's token does not", async () => {
    await using served = await product({ apiKey: KEY });
    const bare = await served.call("GET", hf(SMALL, { token: KEY }));
    expect([bare.status, await started(served)]).toEqual([401, 0]);
    expect(bare.body).toMatch(/^data: \{"error":/);
    const auth = { Authorization: `Bearer ${KEY}` };
    const { body } = await served.call("POST", "/v1/tickets", undefined, auth);
    const events = await all(served, hf(SMALL, { ticket: body.ticket }));
    expect(events.at(-1)).toEqual({ done: true });
    expect((await served.call("GET", hf(SMALL, { ticket: body.ticket }))).status).toBe(401);
    const cookie = (await served.call("POST", "/v1/session", { key: KEY })).headers.get("set-cookie") ?? "";
    const session = { Cookie: cookie.split(";")[0] ?? "" };
    const sites = ["same-origin", "cross-site", "same-site"];
    const answers = sites.map((site) =>
      call(served.base, "GET", hf(SMALL), undefined, { ...session, "Sec-Fetch-Site": site }),
    );
    expect((await Promise.all(answers)).map((answer) => answer.status)).toEqual([200, 403, 403]);
  });

  test("it ends when the server stops", async () => {
    const served = await product({ product: { settings: { paused: true } } });
    const client = await listen(served, hf(SMALL));
    await client.waitFor(({ data }) => data.status === "starting");
    await served[Symbol.asyncDispose]();
    await client.whenEnded();
    expect(client.messages.length).toBe(1);
  });
});

test("the document has the route with examples from the seed", async () => {
  await using served = await product({ product: { settings: { paused: true } } });
  const { paths, components } = (await served.api.openapi()) as Body;
  const { get } = paths[PATH];
  expect([get.operationId, get.tags]).toEqual(["downloadModel", ["abstractcore"]]);
  const names = get.parameters.map(({ name, required }: Body) => [name, required === true]);
  expect(names.slice(0, 2)).toEqual([
    ["provider", true],
    ["model", true],
  ]);
  expect(get.responses[200].content["text/event-stream"].example).toContain('data: {"done":true}');
  expect(get.responses[400].content["text/event-stream"].example).toStartWith('data: {"error":');
  expect(components.schemas.ModelProgress.properties.status.enum).toEqual([
    "starting",
    "downloading",
    "verifying",
    "complete",
    "error",
  ]);
});
