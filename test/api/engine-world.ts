import { afterAll, beforeAll, expect } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Snapshot } from "../../src/core/feed.ts";
import { ggufHeader } from "../support/hub/gguf.ts";
import { ggufFile, ggufRepo, type Hub, startHub } from "../support/hub.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { Contract } from "./contract.ts";
import { type Answer, MB, type Served, serve } from "./support.ts";

/** `loading_parameters` of an engine that was asked for without any (REQUIREMENTS section C). */
export const DEFAULTS = {
  n_ctx: 4096,
  n_keep: 2048,
  use_mlock: true,
  use_mmap: true,
  cont_batching: true,
  warmup: false,
  n_parallel: 1,
  n_gpu_layers: 100,
  n_batch: 2048,
  n_ubatch: 512,
};

const gguf = (path: string, size: number) => {
  const { content } = ggufFile("o/n", path, size, "Q8_0");
  if (typeof content === "string") throw new Error("generated content is expected");
  return { path, content };
};

/** A hub, an origin of 4 MiB/s per connection and the API, for the tests of one file. */
export class EngineWorld {
  hub!: Hub;
  origin!: Origin;
  served!: Served;
  contract!: Contract;
  #count = 0;

  constructor() {
    beforeAll(async () => {
      const quantizations = { Q4_K_M: MB, Q8_0: MB, F16: 2 * MB };
      this.hub = await startHub({ repos: [ggufRepo("acme/tiny-gguf", { quantizations })] });
      this.origin = await startOrigin({
        resources: [
          gguf("/quick.gguf", MB),
          gguf("/other.gguf", MB),
          gguf("/a/slow.gguf", 32 * MB),
          gguf("/b/slow.gguf", 32 * MB),
          gguf("/c/bge-embedding.gguf", 32 * MB),
          { path: "/pytorch_model.bin", seed: 1, size: 1000 },
          { path: "/broken.gguf", seed: 2, size: 1000 },
        ],
        ratePerConnection: 4 * MB,
      });
      this.served = await serve({ product: { hfEndpoint: this.hub.endpoint } });
      this.contract = await Contract.of(this.served);
    });
    afterAll(async () => {
      await this.served[Symbol.asyncDispose]();
      await this.origin[Symbol.asyncDispose]();
      await this.hub[Symbol.asyncDispose]();
    });
  }

  /** A call whose answer must be as the document says; `path` in the document's own spelling. */
  async call(method: string, path: string, id = "", body?: object): Promise<Answer> {
    const answer = await this.served.call(method, path.replace("{id}", encodeURIComponent(id)), body);
    expect(this.contract.problems(method, path, answer)).toEqual([]);
    return answer;
  }

  post(body: object, path = "/engines"): Promise<Answer> {
    return this.call("POST", path, "", body);
  }

  /** An id that no other test has. */
  fresh(name = "engine"): string {
    return `${name} ${++this.#count}`;
  }

  ended(id: string): Promise<Snapshot> {
    return this.served.product.reaches(id, "completed", "failed", "cancelled");
  }

  /** The same at full speed. */
  async hurried(...ids: string[]): Promise<Snapshot[]> {
    this.origin.limits.ratePerConnection = 64 * MB;
    const all: Snapshot[] = [];
    for (const id of ids) all.push(await this.ended(id));
    this.origin.limits.ratePerConnection = 4 * MB;
    return all;
  }

  cancel(id: string): Promise<Answer> {
    return this.served.call("DELETE", `/downloads/${encodeURIComponent(id)}`);
  }

  /** Forgets all that has ended, with its files. */
  clear(): Promise<Answer> {
    return this.served.call("DELETE", "/v1/history?files=true");
  }

  /** A small model file in the models directory. */
  put(path: string): string {
    const full = join(this.served.product.models, path);
    mkdirSync(dirname(full), { recursive: true });
    const head = Buffer.from(ggufHeader({ name: "x", quantization: "F16", size: 4096 }));
    writeFileSync(full, Buffer.concat([head, Buffer.alloc(4096 - head.length)]));
    return full;
  }
}

/** Status and what else tells a refusal. */
export const errorOf = ({ status, body }: Answer) => [
  status,
  body.error?.type,
  body.error?.param,
  body.error?.code,
];
