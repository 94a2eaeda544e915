import type { Engine } from "../../src/core/ports.ts";
import type { Timing } from "../../src/engines/llama-server/supervised.ts";
import { literal } from "../support/bytes.ts";
import { LlamaProgram } from "../support/llama-server.ts";
import { startOrigin } from "../support/origin.ts";
import { openProduct, type Product } from "../support/product.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";
import { engineSpec, gguf, LLAMA, writeModel } from "./support.ts";

const FAST: Partial<Timing> = { lookMs: 5, backoffMs: 5, longestBackoffMs: 20, mostCrashes: 2 };
export const never = new AbortController().signal;

export interface World extends AsyncDisposable {
  dir: TempDir;
  program: LlamaProgram;
  product: Product;
  model: string;
  /** The same folder, opened by the next process. */
  reopen(): Promise<Product>;
}

const programs: LlamaProgram[] = [];
/** Whatever a failed test left must not stay. */
export function endAll(): void {
  for (const pid of programs.splice(0).flatMap((program) => program.alive())) process.kill(pid, "SIGKILL");
}

export async function open(timing: Partial<Timing> = {}): Promise<World> {
  const dir = tempDir("llama");
  const program = new LlamaProgram(dir.path);
  programs.push(program);
  const environment = {
    PATH: process.env.PATH,
    MODELHAUL_API_KEY: "secret",
    HF_TOKEN: "secret",
    MODELSCOPE_API_TOKEN: "secret",
    KEPT: "1",
  };
  const engines = {
    standard: "llama-server",
    llamaServer: program.path,
    llamaTiming: { ...FAST, ...timing },
    environment,
  };
  const start = () => openProduct({ dir: dir.path, engines });
  const world: World = {
    dir,
    program,
    product: await start(),
    model: writeModel(dir.at("m.gguf")),
    async reopen() {
      await world.product.close();
      world.product = await start();
      return world.product;
    },
    async [Symbol.asyncDispose]() {
      await world.product.close();
      dir.remove();
    },
  };
  return world;
}

export const create = ({ product, model }: World, id: string, more = {}) =>
  product.downloads.engines.create(engineSpec(id, more), model, null, never);

export const becomes = (product: Product, id: string, state: Engine["state"]): Promise<Engine> =>
  until(async () => {
    const engine = await product.downloads.engines.get(id);
    return engine?.state === state && engine;
  }, `engine ${id} to be ${state}`);

export const healthOf = async ({ endpoint }: Engine): Promise<number> =>
  (await fetch(`${endpoint}/health`)).status;

export async function served() {
  const origin = await startOrigin({
    resources: [{ path: "/tiny.gguf", content: literal(gguf({ pairs: LLAMA })) }],
  });
  return origin;
}
