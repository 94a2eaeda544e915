import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { State } from "../../src/core/download.ts";
import { sha256File } from "../e2e/support.ts";
import { ggufRepo, type Hub, startHub } from "../support/hub.ts";
import { until } from "../support/until.ts";
import { all, hf, listen, query, statuses, steps } from "./abstractcore-world.ts";
import { EventClient, type Message } from "./event-client.ts";
import { type Body, MB, type Served, type ServeOptions, serve } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

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
    ["constructor", /downloads\. Supported/],
    ["__proto__", /downloads\. Supported/],
  ])("R182 R183 %s does not support downloads, and says so", async (provider, why) => {
    await using served = await product();
    const events = await all(served, query({ provider, model: "some-model" }));
    expect(statuses(events)).toEqual(["starting", "error", "error"]);
    expect(events.at(-1)).toEqual({ error: events.at(-2).message });
    expect(events.at(-1).error).toStartWith(
      `Provider '${provider.toLowerCase()}' does not support model downloads`,
    );
    expect(events.at(-1).error).toMatch(why);
    expect(events[0].message).toBe(`Downloading some-model from ${provider.toLowerCase()}...`);
    expect(await served.product.downloads.active()).toEqual([]);
  });

  test.each([
    ["a name that is no repository", { model: "no repository" }, /repository id/],
    ["a revision that cannot be", { model: SMALL, revision: "a..b" }, /revision/],
    ["a token that cannot be", { model: SMALL, token: "two words" }, /token/],
    ["a revision that is not there", { model: SMALL, revision: "gone" }, /revision/],
  ])("R172 R182 %s comes as an error event", async (_what, parameters, why) => {
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
