import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Hub, safetensorsRepo, startHub } from "../support/hub.ts";
import { type OllamaDaemon, startOllamaDaemon } from "../support/ollama-daemon.ts";
import { ordinaryModel, startOllamaRegistry } from "../support/ollama-registry.ts";
import { startOrigin } from "../support/origin.ts";
import { all, query, statuses, steps } from "./abstractcore-world.ts";
import { EventClient } from "./event-client.ts";
import { type Body, MB, type Served, serve } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

const MODEL = "llama3:8b";
const ollama = (model = MODEL, more: Record<string, string> = {}) =>
  query({ provider: "ollama", model, ...more });

const percentsOf = (events: Body[]): number[] =>
  events.map(({ percent }) => percent).filter((percent) => typeof percent === "number");

describe("mlx", () => {
  let hub: Hub;
  beforeAll(async () => {
    hub = await startHub({ repos: [safetensorsRepo("mlx-community/Qwen3-4B-4bit")] });
  });
  afterAll(() => hub.stop());

  test("R177 R178 is a whole repository of the hub, in the hub's cache", async () => {
    await using served = await serve({ product: { hfEndpoint: hub.endpoint } });
    const model = "mlx-community/Qwen3-4B-4bit";
    const events = await all(served, query({ provider: "mlx", model }));
    expect(steps(events)).toEqual(["starting", "downloading", "verifying", "complete", "done"]);
    expect(events[0].message).toBe(`Downloading ${model} from HuggingFace Hub...`);
    expect(events.at(-2)).toMatchObject({ percent: 100, message: `Successfully downloaded ${model}` });
    const cache = join(served.product.dir, "hub", "models--mlx-community--Qwen3-4B-4bit", "snapshots");
    expect(existsSync(cache)).toBe(true);
    const missing = await all(served, query({ provider: "mlx", model: "mlx-community/none" }));
    expect(missing.at(-1).error).toStartWith("Model 'mlx-community/none' not found on HuggingFace Hub");
    const again = await all(served, query({ provider: "huggingface", model }));
    expect(statuses(again)).toEqual(["starting", "complete", "done"]);
  });
});

describe("ollama", () => {
  let daemon: OllamaDaemon;
  let served: Served;
  beforeAll(async () => {
    daemon = await startOllamaDaemon({
      models: [
        { name: MODEL, layers: [3 * MB, 2 * MB, 1000] },
        { name: "slow", layers: [64 * MB] },
        { name: "rolls", layers: [4 * MB] },
        { name: "breaks", layers: [2 * MB] },
      ],
      rate: 8 * MB,
    });
    served = await serve({ product: { ollamaUrl: daemon.url } });
  });
  afterAll(async () => {
    await served[Symbol.asyncDispose]();
    await daemon[Symbol.asyncDispose]();
  });

  test("R174 R175 R178 A25 three layers: the seed's lines, one percentage that never falls", async () => {
    const events = await all(served, ollama());
    expect(steps(events)).toEqual(["starting", "downloading", "verifying", "complete", "done"]);
    const lines = events.map(({ message }) => message);
    const order = [
      "Pulling llama3:8b from Ollama...",
      "pulling manifest",
      ...daemon
        .layers(MODEL)
        .slice(0, 2)
        .map(({ digest }) => `pulling ${digest.slice(7, 19)}`),
      "verifying sha256 digest",
      "Successfully pulled llama3:8b",
    ];
    expect(lines.filter((line, index) => order.includes(line) && lines.indexOf(line) === index)).toEqual(
      order,
    );
    const percents = percentsOf(events);
    expect(percents).toEqual(percents.toSorted((a, b) => a - b));
    expect(Math.max(...percentsOf(events.slice(0, -2)))).toBeLessThanOrEqual(99);
    expect(events.at(-2)).toMatchObject({
      percent: 100,
      downloaded_bytes: 5 * MB + 1000,
      total_bytes: 5 * MB + 1000,
    });
    expect(new Set(percents).size).toBeGreaterThan(3);
    expect(new Set(daemon.requests)).toEqual(new Set(["POST /api/pull"]));
  });

  test("A25 asked again it sends starting, complete, done", async () => {
    await all(served, ollama());
    const events = await all(served, ollama());
    expect(statuses(events)).toEqual(["starting", "complete", "done"]);
  });

  test("A25 a roll-back of the daemon is not seen in the percentage", async () => {
    using _ = asDisposable(daemon.on({ model: "rolls" }, { kind: "fall", at: 3 * MB, by: 2 * MB }));
    const events = await all(served, ollama("rolls"));
    const percents = percentsOf(events);
    expect([events.at(-1), percents]).toEqual([{ done: true }, percents.toSorted((a, b) => a - b)]);
  });

  test("R182 an error inside the stream is a failure with its text", async () => {
    const text = "digest is not what was promised to us";
    using _ = asDisposable(daemon.on({ model: "breaks" }, { kind: "error", at: MB, text }));
    const events = await all(served, ollama("breaks"));
    expect([statuses(events).at(-2), Object.keys(events.at(-1))]).toEqual(["error", ["error"]]);
    expect(events.at(-1).error).toContain(text);
  });

  test("R182 a model that the registry does not have", async () => {
    const events = await all(served, ollama("nobody/none"));
    expect(events.at(-1).error).toStartWith("Model 'nobody/none' not found on Ollama");
  });

  test("R174 R181 A25 another server by base_url, and one that is not there, which fails at once", async () => {
    await using other = await startOllamaDaemon({ models: [{ name: "own", layers: [1000] }] });
    const events = await all(served, ollama("own", { base_url: `${other.url}/` }));
    expect([events.at(-1), other.pulls.length]).toEqual([{ done: true }, 1]);
    const { url } = other;
    await other.down();
    const failed = await all(served, ollama("own:other", { base_url: url }));
    expect(failed.at(-1).error).toStartWith(`Cannot connect to Ollama server at ${url}`);
    expect(failed.at(-2)).toMatchObject({ status: "error", message: failed.at(-1).error });
    expect(steps(failed)).not.toContain("complete");
  });

  test("A4 A25 cancelled through another family, the pull stops and its listener hears it", async () => {
    const client = await EventClient.open(served.base + ollama("slow"));
    const { data } = await client.waitFor(({ data: { percent } }) => percent > 1);
    const { body } = await served.call("GET", `/v1/downloads/${data.id}`);
    expect(body).toMatchObject({ provider: "ollama", status: "downloading" });
    await served.call("DELETE", `/downloads/${data.id}`);
    await client.whenEnded();
    expect(client.messages.at(-1)?.data).toEqual({ error: "Download cancelled" });
    await daemon.waitFor(({ active }) => active.length === 0, "the pull to stop");
  });
});

test("R186 a provider is one of the sources: any URL goes the same way", async () => {
  await using origin = await startOrigin({ resources: [{ path: "/m.gguf", seed: 1, size: MB }] });
  await using served = await serve();
  const events = await all(
    served,
    query({ provider: "url", model: `${origin.url("/m.gguf")}?signature=abc` }),
  );
  expect(steps(events)).toEqual(["starting", "downloading", "verifying", "complete", "done"]);
  expect(events.at(-2)).toMatchObject({ percent: 100, total_bytes: MB });
  const told = JSON.stringify([events, served.logged, await served.product.downloads.active()]);
  expect(told).not.toContain("abc");
});

test("R186 ollama-registry needs no daemon: layers are verified and rest in Ollama's directory", async () => {
  await using registry = await startOllamaRegistry({ models: [ordinaryModel("tiny")] });
  await using served = await serve({ product: { ollamaRegistry: registry.endpoint } });
  const events = await all(served, query({ provider: "ollama-registry", model: "tiny" }));
  expect(steps(events)).toEqual(["starting", "downloading", "verifying", "complete", "done"]);
  const messages = events.map(({ message }) => message);
  expect(messages[0]).toBe("Pulling tiny from the Ollama registry...");
  expect(messages).toContain("verifying sha256 digest");
  expect(messages.at(-2)).toBe("Successfully pulled tiny");
  const again = await all(served, query({ provider: "ollama-registry", model: "tiny" }));
  expect(statuses(again)).toEqual(["starting", "complete", "done"]);
  const { host } = new URL(registry.endpoint);
  const named = await all(
    served,
    query({ provider: "ollama-registry", model: `http://${host}/library/tiny:latest` }),
  );
  expect(named.at(-1)).toEqual({ done: true });
  const missing = await all(served, query({ provider: "ollama-registry", model: "none" }));
  expect(missing.at(-1).error).toStartWith("Model 'none' not found on the Ollama registry");
});

const asDisposable = (rule: { remove(): void }): Disposable => ({ [Symbol.dispose]: () => rule.remove() });
