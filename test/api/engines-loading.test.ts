import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { writeModel } from "../engines/support.ts";
import { LlamaProgram } from "../support/llama-server.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";
import { Contract } from "./contract.ts";
import { errorOf } from "./engine-world.ts";
import { type Answer, type Served, serve } from "./support.ts";

let dir: TempDir;
let program: LlamaProgram;
let served: Served;
let contract: Contract;
beforeAll(async () => {
  dir = tempDir("loading");
  program = new LlamaProgram(dir.path);
  const engines = {
    standard: "llama-server",
    llamaServer: program.path,
    environment: { PATH: process.env.PATH },
    llamaTiming: { lookMs: 5 },
  };
  served = await serve({ product: { engines } });
  contract = await Contract.of(served);
  mkdirSync(served.product.models, { recursive: true });
  for (const name of ["m.gguf", "other.gguf"]) writeModel(join(served.product.models, name));
});
afterEach(() => program.order({}));
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  for (const pid of program.alive()) process.kill(pid, "SIGKILL");
  dir.remove();
});

/** A call whose answer must be as the document says. */
async function call(method: string, path: string, id = "", body?: object): Promise<Answer> {
  const answer = await served.call(method, path.replace("{id}", encodeURIComponent(id)), body);
  expect(contract.problems(method, path, answer)).toEqual([]);
  return answer;
}

/** Asks for an engine that is not ready for a long time, and waits until its process runs. */
async function beginLoading(family: "engines" | "models", id: string): Promise<{ answer: Promise<Answer> }> {
  program.order({ neverReady: true });
  const running = program.alive().length;
  const named = family === "engines" ? { engine_id: id } : { model_id: id, model_type: "llm" };
  const answer = call("POST", `/${family}`, "", { ...named, model_path: "m.gguf" });
  await until(() => program.alive().length > running, "the process to run");
  return { answer };
}

for (const family of ["engines", "models"] as const)
  test(`A16 R41 what POST /${family} loads from disk is seen as loading, and DELETE ends it with 200`, async () => {
    const id = `${family} seen`;
    const { answer } = await beginLoading(family, id);
    const list = (await call("GET", "/engines")).body.engines as { engine_id: string }[];
    expect(list.map(({ engine_id }) => engine_id)).toContain(id);
    for (const path of ["/engines/{id}", "/engines/{id}/status", "/models/{id}", "/models/{id}/status"]) {
      const { status, body } = await call("GET", path, id);
      expect([path, status, body.state, body.status]).toEqual([path, 200, "loading", "unloaded"]);
    }
    const log = await call("GET", "/engines/{id}/log", id);
    expect([log.status, log.body.lines.length > 0]).toEqual([200, true]);
    const removed = await call("DELETE", `/${family}/{id}`, id);
    expect([removed.status, removed.body.status, program.alive()]).toEqual([200, "removed", []]);
    expect((await answer).status).toBe(422);
    expect((await call("GET", "/engines/{id}", id)).status).toBe(404);
  });

test("A22 another model under an id that is being loaded is 409 at once; the same again is the same engine", async () => {
  program.order({ loadMs: 2000 });
  const body = { engine_id: "busy", model_path: "m.gguf" };
  const first = call("POST", "/engines", "", body);
  await until(() => program.alive().length === 1, "the process to run");
  const other = await call("POST", "/engines", "", { ...body, model_path: "other.gguf" });
  expect(errorOf(other)).toEqual([409, "invalid_request_error", "engine_id", "engine_id_exists"]);
  expect((await call("GET", "/engines/{id}", "busy")).body.state).toBe("loading");
  const again = await call("POST", "/engines", "", body);
  expect([
    (await first).status,
    again.status,
    program.starts().filter(({ pid }) => program.alive().includes(pid)).length,
  ]).toEqual([201, 201, 1]);
  await call("DELETE", "/engines/{id}", "busy");
});

test("A21 stop while it is loaded for the first time keeps the record, and start loads it", async () => {
  const { answer } = await beginLoading("engines", "halted");
  const stopped = await call("POST", "/engines/{id}/stop", "halted");
  expect([stopped.status, stopped.body.state, program.alive()]).toEqual([200, "stopped", []]);
  expect((await answer).body.error.message).toBe("The engine was stopped before it was ready.");
  program.order({});
  const started = await call("POST", "/engines/{id}/start", "halted");
  expect([started.status, started.body.state, started.body.details.architecture]).toEqual([
    200,
    "loaded",
    "llama",
  ]);
  await call("DELETE", "/engines/{id}", "halted");
});

test("R46 what could not be loaded leaves no engine behind", async () => {
  program.order({ exitCode: 1 });
  const answer = await call("POST", "/engines", "", { engine_id: "vain", model_path: "m.gguf" });
  expect(errorOf(answer)).toEqual([422, "model_loading_error", "model_path", "model_loading_failed"]);
  expect((await call("GET", "/engines/{id}", "vain")).status).toBe(404);
});
