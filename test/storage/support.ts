import { mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Digest, knownDigest, type LayoutName } from "../../src/core/download.ts";
import type { DownloadError } from "../../src/core/errors.ts";
import type { PlanInput, Storage } from "../../src/core/ports.ts";
import { knownTarget, type TargetPath, targetIn } from "../../src/core/target-path.ts";
import { createStorage, type StorageOptions } from "../../src/storage/index.ts";
import { clock, log } from "../http/client.ts";

export { clock, log };

/** A directory of its own with storage in it. `using` removes it. */
export class Place implements Disposable {
  readonly dir = knownTarget(realpathSync(mkdtempSync(join(tmpdir(), "modelhaul-storage-"))));
  readonly models = targetIn(this.dir, "models");
  readonly cache = targetIn(this.dir, "hub");
  readonly ollama = targetIn(this.dir, "ollama");

  storage(options: Partial<StorageOptions> = {}): Storage {
    return createStorage({
      modelsDir: this.models,
      hfCacheDir: this.cache,
      ollamaModelsDir: this.ollama,
      clock,
      log,
      minFreeBytes: 0,
      ...options,
    });
  }

  /** All files and links below a folder, sorted. */
  files(folder: string = this.dir): string[] {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
      .sort();
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export const COMMIT = "0123456789abcdef0123456789abcdef01234567";
export const sha256 = (text: string): Digest =>
  knownDigest({ algorithm: "sha256", hex: new Bun.CryptoHasher("sha256").update(text).digest("hex") });
export const gitSha1 = (text: string): Digest =>
  knownDigest({
    algorithm: "git-sha1",
    hex: new Bun.CryptoHasher("sha1").update(`blob ${Buffer.byteLength(text)}\0${text}`).digest("hex"),
  });

export interface Wish {
  path: string;
  content?: string;
  digest?: Digest | null;
  size?: number | null;
  target?: string | null;
}

/** What the runner hands to `plan`. Digests are SHA-256 unless said. */
export function input(
  files: readonly Wish[],
  rest: Partial<PlanInput> & {
    id?: string;
    layout?: LayoutName;
    revision?: string;
    commit?: string;
  } = {},
): PlanInput {
  const { id = "download-1", layout = "flat", revision = "main", commit = COMMIT, ...more } = rest;
  return {
    download: {
      id,
      modelId: id,
      source: { provider: "huggingface", key: id, url: "https://hub.example/acme/tiny", revision },
      layout,
      commit,
    },
    repo: "acme/tiny",
    files: files.map(({ path, content = path, digest, size, target = null }, i) => ({
      id: i + 1,
      path,
      size: size === undefined ? Buffer.byteLength(content) : size,
      digest: digest === undefined ? sha256(content) : digest,
      target: target === null ? null : knownTarget(target),
    })),
    taken: async () => false,
    ...more,
  };
}

/** Goes the whole way for one plan: partial files with the content wished, final names, refs. */
export async function store(
  storage: Storage,
  wishes: readonly Wish[],
  rest: Parameters<typeof input>[1] = {},
): Promise<TargetPath[]> {
  const asked = input(wishes, rest);
  const plan = await storage.plan(asked);
  const paths: TargetPath[] = [];
  for (const [i, { path, content = path }] of wishes.entries()) {
    const target = plan.targets.get(i + 1)!;
    if (!plan.present?.has(i + 1)) {
      const part = await storage.open(target);
      await part.write(0, [Buffer.from(content)]);
      await storage.commit(target, part);
      await part.close();
    }
    paths.push(target.path);
  }
  await storage.finish(asked, plan);
  return paths;
}

/** The error a promise ends in. */
export async function failure(promise: Promise<unknown>): Promise<DownloadError> {
  return promise.then(
    () => {
      throw new Error("it did not fail");
    },
    (error) => error,
  );
}
