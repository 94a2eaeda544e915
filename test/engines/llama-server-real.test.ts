import { expect, test } from "bun:test";
import { openProduct } from "../support/product.ts";
import { engineSpec, LLAMA, writeModel } from "./support.ts";

const program = Bun.which("llama-server");
if (program === null) console.log("SKIPPED: llama-server is not on PATH, so the real one is not tried");

/** A header without weights: the real server must understand our options and refuse the model, not the command line. */
test.skipIf(program === null)(
  "A16 the real llama-server takes our options and its refusal is told",
  async () => {
    await using product = await openProduct({ engines: { llamaServer: program } });
    const model = writeModel(`${product.dir}/m.gguf`, { pairs: LLAMA });
    const parameters = { n_ctx: 64, n_keep: 8, n_batch: 32, n_ubatch: 32, n_parallel: 1, n_gpu_layers: 0 };
    const switches = { use_mlock: true, use_mmap: false, cont_batching: false, warmup: false };
    const spec = engineSpec("real", {
      inferenceEngine: "llama-server",
      parameters: { ...parameters, ...switches },
    });
    const never = new AbortController().signal;
    const work = product.downloads.engines.create(spec, model, null, never);
    const message = await work.then(
      () => "it loaded a model without weights",
      (error: Error) => error.message,
    );
    expect(message).toContain("before 'real' was ready");
    expect(message).not.toMatch(/invalid argument|unknown argument|usage:/i);
  },
  120_000,
);
