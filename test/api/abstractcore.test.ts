import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { State } from "../../src/core/download.ts";
import { sha256File } from "../e2e/support.ts";
import { ggufRepo, type Hub, startHub } from "../support/hub.ts";
import { until } from "../support/until.ts";
import { EventClient, type Message } from "./event-client.ts";
import { type Body, call, KEY, MB, type Served, type ServeOptions, serve } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

const PATH = "/api/models/download";
const FIVE = ["status", "message", "percent", "downloaded_bytes", "total_bytes"];
const WORDS = ["starting", "downloading", "verifying", "complete", "error"];
const SMALL = "acme/small-gguf";
const SLOW = "acme/slow-gguf";

let hub: Hub;
let token: string;
beforeAll(async () => {
  hub = await startHub({
    repos: [
      ggufRepo(SMALL),
      ggufRepo(SLOW, { quantizations: { Q4_K_M: 8 * MB } }),
      { ...ggufRepo("acme/gated-gguf"), gated: "manual" as const },
      { ...ggufRepo("acme/private-gguf"), private: true },
    ],
    cdnLimits: { rateTotal: 4 * MB },
  });
  token = hub.addUser("ada", { access: { "acme/gated-gguf": "granted", "acme/private-gguf": "granted" } });
});
afterAll(() => hub.stop());

const product = (options: ServeOptions = {}): Promise<Served> =>
  serve({ ...options, product: { hfEndpoint: hub.endpoint, ...options.product } });
const query = (parameters: Record<string, string>) => `${PATH}?${new URLSearchParams(parameters)}`;
const hf = (model: string, more: Record<string, string> = {}) =>
  query({ provider: "huggingface", model, ...more });

const listen = (served: Served, target: string, headers: Record<string, string> = {}) =>
  EventClient.open(served.base + target, headers);

/** All events of a stream that ends by itself. */
async function all(served: Served, target: string, headers: Record<string, string> = {}): Promise<Body[]> {
  const client = await listen(served, target, headers);
  await client.whenEnded(20_000);
  return client.messages.map(({ data }) => data);
}

const statuses = (events: Body[]): string[] =>
  events.map((event) => event.status ?? Object.keys(event).join());
/** Each word once where it stands several times in a row. */
const steps = (events: Body[]): string[] =>
  statuses(events).filter((word, index, words) => word !== words[index - 1]);
const isIn =
  (state: State) =>
  ({ data }: Message) =>
    data.state === state;
const snapshotsOf = (served: Served) =>
  join(served.product.dir, "hub", "models--acme--small-gguf", "snapshots");

describe("GET /api/models/download", () => {
  test("R165 R166 R167 R168 R169 R170 R173 R176 R178 A25 a whole repository, from starting to done", async () => {
    await using served = await product();
    const client = await listen(served, hf(SMALL));
    await client.whenEnded();
    const events = client.messages.map(({ data }) => data);
    expect(steps(events)).toEqual(["starting", "downloading", "verifying", "complete", "done"]);
    expect(new Set(client.messages.map(({ event }) => event))).toEqual(new Set([""]));
    const progress = events.slice(0, -1);
    for (const event of progress) {
      expect(Object.keys(event)).toEqual(expect.arrayContaining([...FIVE, "downloaded", "total"]));
      expect(WORDS).toContain(event.status);
      expect(event.message).toBeString();
      expect([event.downloaded, event.total]).toEqual([event.downloaded_bytes, event.total_bytes]);
    }
    expect(events[0]).toMatchObject({
      status: "starting",
      message: `Downloading ${SMALL} from HuggingFace Hub...`,
      percent: null,
      downloaded_bytes: null,
      total_bytes: null,
    });
    const complete = progress.at(-1);
    const files = await served.product.downloads.files(complete.id);
    const size = files.reduce((sum, file) => sum + (file.size ?? 0), 0);
    expect(files.length).toBeGreaterThan(2);
    expect(complete).toMatchObject({
      status: "complete",
      message: `Successfully downloaded ${SMALL}`,
      percent: 100,
      downloaded_bytes: size,
      total_bytes: size,
    });
    expect(events.at(-1)).toEqual({ done: true });
  });

  test("A18 files rest in the Hugging Face cache, with layout=flat in the models directory", async () => {
    await using served = await product();
    await all(served, hf(SMALL));
    const file = hub.repo(SMALL).file("small-Q4_K_M.gguf");
    const { items } = await served.product.downloads.list({}, { limit: 1 });
    expect(items[0]).toMatchObject({ layout: "hf-cache", state: "completed" });
    const cached = join(snapshotsOf(served), items[0]?.commit ?? "", "small-Q4_K_M.gguf");
    expect(await sha256File(cached)).toBe(file.sha256);
    expect(existsSync(join(served.product.models, SMALL))).toBe(false);
    expect(steps(await all(served, hf(SMALL, { layout: "flat" }))).at(-1)).toBe("done");
    expect(await sha256File(join(served.product.models, SMALL, "small-Q4_K_M.gguf"))).toBe(file.sha256);
  });

  test("R178 A25 percent and bytes move and never fall", async () => {
    await using served = await product();
    const events = (await all(served, hf(SLOW))).slice(0, -1);
    const percents = events.map(({ percent }) => percent).filter((percent) => percent !== null);
    expect(percents).toEqual(percents.toSorted((a, b) => a - b));
    expect(new Set(percents).size).toBeGreaterThan(3);
    const between = events.filter(({ percent }) => percent !== null && percent > 0 && percent < 100);
    for (const { percent, downloaded_bytes, total_bytes } of between)
      expect(percent).toBeCloseTo((downloaded_bytes / total_bytes) * 100, 1);
  });

  test("R171 R179 R182 a model that does not exist", async () => {
    await using served = await product();
    const events = await all(served, hf("nonexistent/model"));
    expect([steps(events)[0], steps(events).at(-1)]).toEqual(["starting", "error"]);
    const [last, before] = [events.at(-1), events.at(-2)];
    expect(Object.keys(last)).toEqual(["error"]);
    expect(last.error).toStartWith("Model 'nonexistent/model' not found on HuggingFace Hub");
    expect(before).toMatchObject({ status: "error", message: last.error });
    expect(Object.keys(before)).toEqual(expect.arrayContaining(FIVE));
  });

  test("R176 R180 a gated repository says what it needs, and comes with a token", async () => {
    await using served = await product();
    const refused = await all(served, hf("acme/gated-gguf"));
    expect(refused.at(-1).error).toStartWith("Model requires authentication. Provide token parameter.");
    expect(statuses(refused).at(-2)).toBe("error");
    const wrong = await all(served, hf("acme/gated-gguf", { token: hub.addUser("eve") }));
    expect(wrong.at(-1).error).toMatch(/^Model requires authentication\. .+ask for it/);
    const granted = await all(served, hf("acme/gated-gguf", { token }));
    expect(granted.at(-1)).toEqual({ done: true });
    const byHeader = await all(served, hf("acme/private-gguf"), { "X-Hub-Token": token });
    expect(byHeader.at(-1)).toEqual({ done: true });
    expect(served.logged.join("\n")).not.toContain(token);
    expect(JSON.stringify([refused, granted])).not.toContain(token);
  });

  test.each([
    ["lmstudio", /LM Studio/],
    ["LM-Studio", /LM Studio/],
    ["openai", /cloud/],
    ["anthropic", /cloud/],
    ["nobody", /huggingface/],
  ])("R182 R183 %s does not support downloads, and says so", async (provider, why) => {
    await using served = await product();
    const events = await all(served, query({ provider, model: "some-model" }));
    expect(statuses(events)).toEqual(["starting", "error", "error"]);
    expect(events.at(-1)).toEqual({ error: events.at(-2).message });
    expect(events.at(-1).error).toStartWith(
      `Provider '${provider.toLowerCase()}' does not support model downloads`,
    );
    expect(events.at(-1).error).toMatch(why);
    expect(await served.product.downloads.active()).toEqual([]);
  });

  test.each([
    [{ model: "no repository" }, /repository id/],
    [{ model: SMALL, revision: "a..b" }, /revision/],
    [{ model: SMALL, token: "two words" }, /token/],
    [{ model: SMALL, revision: "gone" }, /revision/],
  ])("R172 R182 what cannot be done with %p comes as an error event", async (parameters, why) => {
    await using served = await product();
    const events = await all(served, hf(parameters.model, parameters as Record<string, string>));
    expect([statuses(events)[0], statuses(events).at(-2)]).toEqual(["starting", "error"]);
    expect(events.at(-1)).toEqual({ error: expect.stringMatching(why) });
  });

  test("R172 a failure nobody expected tells nothing of our inside", async () => {
    await using served = await product();
    served.product.downloads.start = () => Promise.reject(new Error("secret inside"));
    const events = await all(served, hf(SMALL));
    expect(events.at(-1).error).toMatch(/unexpectedly/);
    expect(JSON.stringify(events)).not.toContain("inside");
    expect(served.logged.join()).toContain("secret inside");
  });
});

describe("streams and downloads live apart", () => {
  test("A25 closing the stream does not stop the download; a second request joins it", async () => {
    await using served = await product();
    const first = await listen(served, hf(SLOW));
    await first.waitFor(({ data }) => data.percent > 5);
    first.close();
    const second = await listen(served, hf(SLOW));
    const third = await listen(served, hf(SLOW));
    await Promise.all([second.whenEnded(20_000), third.whenEnded(20_000)]);
    for (const { messages } of [second, third]) {
      expect(messages[0]?.data).toMatchObject({ status: "starting" });
      expect(steps(messages.map(({ data }) => data))).toEqual([
        "starting",
        "downloading",
        "verifying",
        "complete",
        "done",
      ]);
    }
    expect((await served.product.downloads.list({}, { limit: 10 })).items.length).toBe(1);
    await until(() => served.product.downloads.feed.subscribers === 0, "the feed to be let go of");
  });

  test("A25 asked again after the end: starting, complete, done, and nothing is transferred", async () => {
    await using served = await product();
    await all(served, hf(SMALL));
    const before = [hub.origin.log.length, hub.cdn.log.length];
    const events = await all(served, hf(SMALL));
    expect(statuses(events)).toEqual(["starting", "complete", "done"]);
    expect(events[1].percent).toBe(100);
    expect([hub.origin.log.length, hub.cdn.log.length]).toEqual(before);
    await served.call("DELETE", "/v1/history?files=true");
    expect(steps(await all(served, hf(SMALL)))).toContain("downloading");
  });

  test("R171 asked again after a failure it is tried again, in the same record", async () => {
    await using served = await product();
    const missing = "acme/later-gguf";
    const [first] = [await all(served, hf(missing))];
    hub.add(ggufRepo(missing));
    const second = await all(served, hf(missing));
    expect([Object.keys(first.at(-1)), second.at(-1)]).toEqual([["error"], { done: true }]);
    expect((await served.product.downloads.list({}, { limit: 10 })).items.length).toBe(1);
  });

  test("A4 R186c pause, resume and cancel from another family are heard here", async () => {
    await using served = await product();
    const client = await listen(served, hf(SLOW));
    const { data } = await client.waitFor(({ data }) => data.percent > 2);
    await served.call("POST", `/downloads/${data.id}/pause`);
    const paused = await client.waitFor(isIn("paused"));
    expect(paused.data).toMatchObject({ status: "downloading", message: "Paused" });
    await served.call("POST", `/v1/downloads/${encodeURIComponent(SLOW)}/resume`);
    await client.waitFor(({ data: later }) => later.percent > paused.data.percent);
    await served.call("DELETE", `/downloads/${data.id}`);
    await client.whenEnded();
    const events = client.messages.map((message) => message.data);
    expect(events.at(-2)).toMatchObject({ status: "error", state: "cancelled" });
    expect(events.at(-1)).toEqual({ error: "Download cancelled" });
    const percents = events.map(({ percent }) => percent ?? 0).slice(0, -1);
    expect(percents).toEqual(percents.toSorted((a, b) => a - b));
  });

  test("R186c the other families show and keep their own while this one streams", async () => {
    await using served = await product();
    const own = { repo_id: SLOW, filename: "slow-Q4_K_M.gguf", model_id: "own" };
    await served.call("POST", "/v1/downloads", own);
    const client = await listen(served, hf(SLOW));
    await client.waitFor(({ data }) => data.state === "downloading" && data.percent > 0);
    for (const path of ["/downloads", "/v1/downloads"]) {
      const { body } = await served.call("GET", path);
      const ids = body.active_downloads.map(({ model_id }: Body) => model_id);
      expect([path, ids.toSorted()]).toEqual([path, [SLOW, "own"].toSorted()]);
    }
    const seen = await served.call("GET", `/download-progress/${encodeURIComponent(SLOW)}`);
    expect(seen.body).toMatchObject({ status: "downloading", provider: "huggingface", repo_id: SLOW });
    const events = await EventClient.open(`${served.base}/v1/events`);
    await events.waitFor(({ event }) => event === "snapshot");
    await client.whenEnded(20_000);
    await served.product.reaches("own", "completed");
    await events.waitFor(
      ({ data }) => data.download?.model_id === SLOW && data.download.state === "completed",
    );
    events.close();
  });

  test("F216 a quiet stream shows life", async () => {
    await using served = await product({
      live: { heartbeatMs: 50 },
      product: { settings: { paused: true } },
    });
    const client = await listen(served, hf(SMALL));
    await client.whenCommented();
    expect(client.messages.map(({ data }) => data.status)).toEqual(["starting"]);
    client.close();
  });

  test("F213 there is room for so many listeners and no more", async () => {
    await using served = await product({ live: { maxReaders: 1 }, product: { settings: { paused: true } } });
    const client = await listen(served, hf(SMALL));
    const refused = await served.call("GET", hf(SMALL));
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "10"]);
    expect(refused.body).toMatch(/^data: \{"error":"Too many/);
    client.close();
  });
});

describe("an EventSource that comes back by itself", () => {
  test("after the end it is told not to, and starts nothing", async () => {
    await using served = await product();
    for (const target of [
      hf("nonexistent/model"),
      query({ provider: "openai", model: "gpt-4o" }),
      hf(SMALL),
    ]) {
      const client = await listen(served, target);
      await client.whenEnded();
      const id = client.messages.at(-1)?.id ?? "";
      const again = await fetch(served.base + target, { headers: { "Last-Event-ID": id } });
      expect([target, again.status, await again.text()]).toEqual([target, 204, ""]);
    }
    expect((await served.product.downloads.list({}, { limit: 10 })).items.length).toBe(2);
  });

  test("in between it goes on, with a percentage that does not fall, and hears of an end it has missed", async () => {
    await using served = await product();
    const client = await listen(served, hf(SLOW));
    const { id, data } = await client.waitFor(({ data: { percent } }) => percent > 10);
    client.close();
    const headers = { "Last-Event-ID": id };
    const second = await listen(served, hf(SLOW), headers);
    const first = await second.waitFor(() => true);
    expect(first.data).toMatchObject({ status: "starting" });
    expect(first.data.percent).toBeGreaterThanOrEqual(data.percent);
    second.close();
    await served.call("DELETE", `/v1/downloads/${data.id}`);
    const events = await all(served, hf(SLOW), headers);
    expect([statuses(events)[0], events.at(-1)]).toEqual(["starting", { error: "Download cancelled" }]);
    expect((await served.product.downloads.get(data.id)).state).toBe("cancelled");
  });

  test.each(["", "7", "none/3", "x/end", "0b3c0c5e-7d0c-4f0e-9d64-0a6f4d0f8a11/5", "/".repeat(99)])(
    "F219 with %p it is a first connection",
    async (id) => {
      await using served = await product();
      const events = await all(served, hf(SMALL), { "Last-Event-ID": id });
      expect([steps(events)[0], events.at(-1)]).toEqual(["starting", { done: true }]);
    },
  );
});

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
  expect(components.schemas.ModelProgress.properties.status.enum).toEqual(WORDS);
});
