import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import specs from "@asyncapi/specs";
import Ajv, { type ValidateFunction } from "ajv";
import { ggufRepo, type Hub, startHub } from "../support/hub.ts";
import { LiveSocket } from "../support/live.ts";
import { EventClient, type Message } from "./event-client.ts";
import { type Body, MB, type Served, serve } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

let hub: Hub;
let served: Served;
let document: Body;
beforeAll(async () => {
  hub = await startHub({
    repos: [ggufRepo("acme/tiny-gguf", { quantizations: { Q4_K_M: 4 * MB, Q8_0: MB } })],
  });
  served = await serve({ product: { hfEndpoint: hub.endpoint } });
  document = (await served.call("GET", "/asyncapi.json")).body;
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  await hub.stop();
});

const ajv = new Ajv({ strict: false, validateFormats: false });

/** What in the document a reference leads to. */
const at = (pointer: string): Body =>
  pointer
    .replace(/^#\//, "")
    .split("/")
    .reduce((value: Body, key) => value?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], document);

/** Messages of a channel, by name, resolved to the components. */
const messagesOf = (channel: string): Record<string, Body> =>
  Object.fromEntries(
    Object.entries<Body>(document.channels[channel].messages).map(([name, { $ref }]) => [name, at($ref)]),
  );

const compiled = new Map<string, ValidateFunction>();

/** What keeps a value from being this message; empty when it is one. */
function misfits(message: string, value: unknown): string[] {
  if (compiled.size === 0) ajv.addSchema({ $id: "asyncapi", ...document });
  const $ref = `asyncapi#/components/messages/${message}/payload`;
  const validate = compiled.get($ref) ?? ajv.compile({ $ref });
  compiled.set($ref, validate);
  if (validate(value)) return [];
  return (validate.errors ?? []).map((error) => `${message}: ${error.instancePath} ${error.message}`);
}

describe("GET /asyncapi.json", () => {
  test("R134 is what the official schema of AsyncAPI 3.0 allows, whatever the ids in it", () => {
    const official = new Ajv({ strict: false, validateFormats: false });
    const validate = official.compile((specs.schemasWithoutId as Record<string, object>)["3.0.0"]!);
    expect({ valid: validate(structuredClone(document)), errors: validate.errors }).toEqual({
      valid: true,
      errors: null,
    });
    expect(validate({ ...structuredClone(document), channels: { a: { addres: 1 } } })).toBe(false);
    expect(document.asyncapi).toBe("3.0.0");
    expect(document.info.version).toBe("0.0.0");
  });

  test("no reference leads nowhere, and every operation names messages of its own channel", () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, to]) => to!);
    expect(references.length).toBeGreaterThan(50);
    expect(references.filter((to) => at(to) === undefined)).toEqual([]);
    for (const operation of Object.values<Body>(document.operations))
      for (const { $ref } of [...operation.messages, ...(operation.reply?.messages ?? [])])
        expect($ref).toStartWith(`${operation.channel.$ref}/messages/`);
  });

  test("every stream of the OpenAPI document has a channel, and every channel a route", async () => {
    const { paths } = (await served.api.openapi()) as Body;
    const streams = Object.keys(paths).filter((path) => {
      const { responses = {} } = paths[path].get ?? {};
      return responses[101] || responses[200]?.content?.["text/event-stream"];
    });
    const addresses = Object.values<Body>(document.channels).map(({ address }) => address);
    // The unversioned alias is the same stream (R48).
    const own = streams.filter((path) => !path.startsWith("/downloads/"));
    expect(own.sort()).toEqual(addresses.sort());
  });

  test("its examples are messages, and its schemas say what they refuse", () => {
    const messages = Object.entries<Body>(document.components.messages);
    expect(messages.length).toBe(20);
    for (const [name, { examples }] of messages)
      expect(examples.flatMap(({ payload }: Body) => misfits(name, payload))).toEqual([]);
    expect(misfits("hello", { type: "hello" })).not.toEqual([]);
    expect(
      misfits("download", { type: "download", seq: 1, previous_state: "asleep", download: {} }),
    ).not.toEqual([]);
    expect(misfits("pause", { type: "resume", ref: 1, id: "x" })).not.toEqual([]);
    expect(misfits("start", { type: "start", ref: 1, body: { url: 5 } })).not.toEqual([]);
  });
});

describe("what is really said", () => {
  /** Every message fits the schema of the name it goes by in that channel. */
  function expectFits(channel: string, said: readonly { name: string; payload: unknown }[]): void {
    const known = Object.keys(messagesOf(channel));
    expect(said.map(({ name }) => name).filter((name) => !known.includes(name))).toEqual([]);
    expect(said.flatMap(({ name, payload }) => misfits(name, payload))).toEqual([]);
  }
  const events = (messages: readonly Message[]) =>
    messages.map(({ event, data }) => ({ name: event, payload: data }));
  const fresh = async (): Promise<void> => {
    await served.call("DELETE", "/v1/downloads");
    await served.call("DELETE", "/v1/history?files=true");
  };

  test("R134 R135 R137 over the WebSocket: commands, replies, refusals, all states", async () => {
    await fresh();
    const socket = new LiveSocket(new WebSocket(`${served.base.replace("http", "ws")}/v1/ws`));
    await socket.next(({ type }) => type === "hello");
    const sent: Body[] = [];
    const ask = (frame: Body) => {
      sent.push(frame);
      socket.send(frame);
      return socket.next(({ type, ref }) => type === "reply" && ref === frame.ref);
    };
    await ask({ type: "subscribe", ref: "s", since: 0 });
    const body = { repo_id: "acme/tiny-gguf", filename: "tiny-Q4_K_M.gguf" };
    const { result } = await ask({ type: "start", ref: 1, body });
    for (const [ref, type] of (["pause", "resume", "cancel", "retry"] as const).entries())
      await ask({ type, ref: `v${ref}`, id: result.id });
    await socket.next(({ download }) => download?.state === "completed");
    expect((await ask({ type: "pause", ref: "late", id: result.id })).ok).toBe(false);
    await served.call("DELETE", `/v1/history/${result.id}`);
    await socket.next(({ type }) => type === "removed");
    await ask({ type: "subscribe", ref: "again" });
    await socket.next(({ type }) => type === "snapshot");
    await ask({ type: "unsubscribe", ref: "u" });
    socket.send({ type: "dance" });
    await socket.next(({ type }) => type === "error");
    await socket.next(({ type }) => type === "ping");
    socket[Symbol.dispose]();
    expectFits(
      "websocket",
      socket.all.map((frame) => ({ name: frame.type, payload: frame })),
    );
    expectFits(
      "websocket",
      sent.map((frame) => ({ name: frame.type, payload: frame })),
    );
    const types = new Set([...socket.all, ...sent].map(({ type }) => type));
    expect(Object.keys(messagesOf("websocket")).filter((type) => !types.has(type))).toEqual([]);
  });

  test("R134 over server-sent events, of all and of one", async () => {
    await fresh();
    const all = await EventClient.open(`${served.base}/v1/events`);
    await all.waitFor(({ event }) => event === "snapshot");
    const { body } = await served.call("POST", "/v1/downloads", { repo_id: "acme/tiny-gguf" });
    const one = await EventClient.open(`${served.base}/v1/downloads/${body.id}/events`);
    await all.waitFor(({ data }) => data.download?.state === "completed");
    await one.waitFor(({ data }) => (data.download ?? data.downloads?.[0])?.state === "completed");
    await served.call("DELETE", `/v1/history/${body.id}`);
    await all.waitFor(({ event }) => event === "removed");
    await one.whenEnded();
    all.close();
    expect(new Set(all.messages.map(({ event }) => event))).toEqual(
      new Set(["snapshot", "download", "removed"]),
    );
    expectFits("events", events(all.messages));
    expectFits("downloadEvents", events(one.messages));
  });

  test("R7 R10-R17 of the local family", async () => {
    await fresh();
    const stream = await EventClient.open(`${served.base}/local/download/status`);
    await served.call("POST", "/local/download", { repo_id: "acme/tiny-gguf", filename: "absent.gguf" });
    await served.call("POST", "/local/download", { repo_id: "acme/tiny-gguf", filename: "tiny-Q8_0.gguf" });
    await stream.waitFor(({ data }) => data.status === "completed");
    await stream.waitFor(({ data }) => data.status === "failed");
    stream.close();
    expectFits(
      "localStatus",
      stream.messages.map(({ data }) => ({ name: "localStatus", payload: data })),
    );
  });

  test("R157 R163 of the wingman family, an unknown pair included", async () => {
    await fresh();
    const query = "ModelRepo=acme/tiny-gguf&FilePath=";
    await served.call("GET", `/api/download?${query}tiny-Q8_0.gguf`);
    const said: { name: string; payload: unknown }[] = [];
    for (const file of ["tiny-Q8_0.gguf", "nobody.gguf"]) {
      const stream = await EventClient.open(`${served.base}/api/progress?${query}${file}`, { Accept: "*/*" });
      await stream.whenEnded();
      const name = file === "nobody.gguf" ? "wingmanError" : "wingmanProgress";
      said.push(...stream.messages.map(({ data }) => ({ name, payload: data })));
    }
    expect(said.length).toBeGreaterThan(1);
    expectFits("wingmanProgress", said);
  });

  test("R166-R172 of the abstractcore family, to the end and to an error", async () => {
    await fresh();
    const said: { name: string; payload: Body }[] = [];
    for (const model of ["acme/tiny-gguf", "nonexistent/model"]) {
      const url = `${served.base}/api/models/download?provider=huggingface&model=${model}`;
      const stream = await EventClient.open(url);
      await stream.whenEnded();
      const nameOf = ({ done, error, status }: Body) =>
        done ? "modelDone" : error !== undefined && status === undefined ? "modelError" : "modelProgress";
      said.push(...stream.messages.map(({ data }) => ({ name: nameOf(data), payload: data })));
    }
    expect(new Set(said.map(({ name }) => name)).size).toBe(3);
    expectFits("modelDownload", said);
  });
});
