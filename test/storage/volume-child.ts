/** Runs one scenario on a small volume of its own and prints what it saw as JSON. Started by `volume.test.ts`. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DownloadError } from "../../src/core/errors.ts";
import type { PartFile, Storage, Target } from "../../src/core/ports.ts";
import { createStorage } from "../../src/storage/index.ts";
import { clock, failure, input, log } from "./support.ts";

const [scenario = "", volume = ""] = process.argv.slice(2);
const models = join(volume, "models");
/** Moves the clock, so that what was looked at a moment ago is looked at again. */
let skew = 0;
const skewed = { ...clock, monotonic: () => clock.monotonic() + skew };
const seen = ({ code, verdict }: DownloadError) => ({ code, verdict });
const chunk = (size: number, value: number) => new Uint8Array(size).fill(value);

async function opened(storage: Storage, path = "m.gguf"): Promise<{ at: Target; part: PartFile }> {
  const at = (await storage.plan(input([{ path }]))).targets.get(1)!;
  return { at, part: await storage.open(at) };
}

const SCENARIOS: Record<string, (storage: Storage) => Promise<unknown>> = {
  /** 1 MiB volume: full in the middle of a write, goes on when there is room again. */
  async full(storage) {
    writeFileSync(join(volume, "ballast"), chunk(600_000, 1));
    const { at, part } = await opened(storage);
    await part.write(0, [chunk(200_000, 2)]);
    const error = await failure(part.write(200_000, [chunk(300_000, 3), chunk(300_000, 4)]));
    unlinkSync(join(volume, "ballast"));
    await part.write(200_000, [chunk(300_000, 3), chunk(300_000, 4)]);
    await storage.commit(at, part);
    await part.close();
    const bytes = readFileSync(at.path);
    const right = [bytes.length, bytes[0], bytes[200_000], bytes[799_999]];
    return { error: seen(error), right };
  },

  async readonly(storage) {
    const { at, part } = await opened(storage);
    await part.write(0, [chunk(10, 1)]);
    await part.close();
    execFileSync("mount", ["-o", "remount,ro", volume]);
    const open = await failure(storage.open(at));
    const other = await failure(opened(storage, "sub/other.gguf"));
    return { open: seen(open), other: seen(other) };
  },

  /** The volume is taken away; the directory it was mounted on stays, empty, on another volume. */
  async gone(storage) {
    const { at, part } = await opened(storage);
    await part.close();
    execFileSync("umount", [volume]);
    skew += 60_000;
    const errors = [];
    for (const attempt of [
      () => storage.open(at),
      () => storage.plan(input([{ path: "x" }])),
      () => storage.free(at.path),
      () => storage.reserve(at.path, 1),
    ])
      errors.push(seen(await failure(attempt())));
    return { errors, left: readdirSync(volume) };
  },

  /** The same, and nobody has had the time to look: what is opened then, and what was open. */
  async vanished(storage) {
    const { at, part } = await opened(storage);
    await part.write(0, [chunk(10, 1)]);
    const other = (await storage.plan(input([{ path: "sub/other.gguf" }]))).targets.get(1)!;
    execFileSync("umount", ["-l", volume]);
    mkdirSync(models);
    const errors = [seen(await failure(storage.open(other))), seen(await failure(storage.commit(at, part)))];
    await part.close();
    return { errors, left: readdirSync(models) };
  },

  /** Under `ulimit -f`: the system cuts the write at the limit, then refuses. */
  async limited(storage) {
    const { part } = await opened(storage);
    const error = await failure(part.write(0, [chunk(200_000, 1), chunk(200_000, 2)]));
    await part.close();
    const bytes = readFileSync(part.path);
    return {
      error: seen(error),
      length: bytes.length,
      intact: bytes.every((byte, i) => byte === (i < 200_000 ? 1 : 2)),
    };
  },

  async one(storage) {
    const { at, part } = await opened(storage);
    await part.write(0, [chunk(10, 1)]);
    await storage.commit(at, part);
    await part.close();
    return readdirSync(join(models, "acme/tiny"));
  },
};

const storage = createStorage({
  modelsDir: models,
  hfCacheDir: join(volume, "hub"),
  ollamaModelsDir: join(volume, "ollama"),
  clock: skewed,
  log,
  minFreeBytes: 0,
});
console.log(JSON.stringify(await SCENARIOS[scenario]!(storage)));
