import { expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Storage, Target } from "../../src/core/ports.ts";
import { targetIn } from "../../src/core/target-path.ts";
import { failure, input, Place, sha256, type Wish } from "./support.ts";

const blob = (content: string): string => `blobs/sha256-${sha256(content).hex}`;
const LIBRARY = "manifests/registry.ollama.ai/library";

/** The files of a model with these blobs, its manifest last. */
function model(name: string, contents: readonly string[]): Wish[] {
  const [config, ...layers] = contents.map((content) => ({
    mediaType: "application/vnd.ollama.image.model",
    digest: `sha256:${sha256(content).hex}`,
    size: Buffer.byteLength(content),
  }));
  const manifest = JSON.stringify({ schemaVersion: 2, config, layers });
  return [
    ...contents.map((content) => ({ path: blob(content), content })),
    { path: `manifests/${name}`, content: manifest },
  ];
}

const rest = (id = "download-1") => ({ id, layout: "ollama" as const });

/** Final name for one wish, after its bytes have been written. */
async function put(storage: Storage, target: Target, content: string): Promise<string> {
  const part = await storage.open(target);
  try {
    await part.write(0, [Buffer.from(content)]);
    return await storage.commit(target, part);
  } finally {
    await part.close();
  }
}

/** The whole way for one model, in the order in which core goes it. */
async function pull(storage: Storage, wishes: readonly Wish[], id?: string): Promise<string> {
  const asked = input(wishes, rest(id));
  const plan = await storage.plan(asked);
  for (const [i, { path, content = path }] of wishes.entries())
    await put(storage, plan.targets.get(i + 1)!, content);
  await storage.finish(asked, plan);
  return plan.localPath;
}

const NAME = "registry.ollama.ai/library/llama3.2/latest";

test("blobs and manifest stand where Ollama looks for them, with its modes, and nothing else", async () => {
  using place = new Place();
  const wishes = model(NAME, ["weights", "config", "template"]);
  const shown = await pull(place.storage(), wishes);
  expect(place.files(place.ollama)).toEqual(wishes.map((wish) => wish.path).sort());
  expect(shown).toBe(join(place.ollama, blob("weights")));
  for (const { path, content } of wishes) {
    expect(readFileSync(join(place.ollama, path), "utf8")).toBe(content!);
    expect(statSync(join(place.ollama, path)).mode & 0o777).toBe(0o666 & ~process.umask());
  }
  const folder = statSync(join(place.ollama, LIBRARY, "llama3.2"));
  expect(folder.mode & 0o777).toBe(0o777 & ~process.umask());
});

test("partial data is in neither of the folders that a daemon looks into, and owner-only", async () => {
  using place = new Place();
  const storage = place.storage();
  const wishes = model(NAME, ["weights"]);
  const plan = await storage.plan(input(wishes, rest()));
  for (const target of plan.targets.values()) {
    const part = await storage.open(target);
    await part.write(0, [Buffer.from("some")]);
    await part.close();
    expect(statSync(target.partial).mode & 0o777).toBe(0o600);
  }
  const files = place.files(place.ollama);
  expect(files).toHaveLength(2);
  for (const path of files) expect(path).toMatch(/^\.modelhaul\/.*\.[0-9a-f]{8}\.part$/);
  await storage.discard([...plan.targets.values()]);
  expect(place.files(place.ollama)).toEqual([]);
});

test("the manifest gets no name while a blob that it names is missing or cut", async () => {
  using place = new Place();
  const storage = place.storage();
  const wishes = model(NAME, ["weights", "config"]);
  const plan = await storage.plan(input(wishes, rest()));
  const [weights, config, manifest] = [1, 2, 3].map((id) => plan.targets.get(id)!);
  await put(storage, weights!, "weights");
  const missing = await failure(put(storage, manifest!, wishes[2]!.content!));
  expect([missing.code, missing.verdict]).toEqual(["io", "wait"]);
  expect(missing.message).toContain(blob("config"));
  await put(storage, config!, "config");
  writeFileSync(weights!.path, "wei");
  expect((await failure(put(storage, manifest!, wishes[2]!.content!))).code).toBe("io");
  expect(place.files(place.ollama).filter((path) => path.startsWith("manifests"))).toEqual([]);
  writeFileSync(weights!.path, "weights");
  await put(storage, manifest!, wishes[2]!.content!);
  expect(readFileSync(manifest!.path, "utf8")).toBe(wishes[2]!.content!);
});

test("a manifest of the same name is replaced whole, a damaged blob by the right one", async () => {
  using place = new Place();
  const storage = place.storage();
  await pull(storage, model(NAME, ["old", "shared"]));
  writeFileSync(join(place.ollama, blob("shared")), "damage");
  const next = model(NAME, ["new", "shared"]);
  await pull(storage, next, "download-2");
  expect(readFileSync(join(place.ollama, next[2]!.path), "utf8")).toBe(next[2]!.content!);
  expect(readFileSync(join(place.ollama, blob("shared")), "utf8")).toBe("shared");
});

test("a name that differs only in case from one that is there is that one", async () => {
  using place = new Place();
  const storage = place.storage();
  await pull(storage, model("hf.co/Acme/Tiny-GGUF/Q4_K_M", ["a"]));
  const again = await storage.plan(input(model("hf.co/acme/tiny-gguf/q4_k_m", ["a"]), rest("download-2")));
  expect(again.targets.get(2)?.path).toBe(targetIn(place.ollama, "manifests/hf.co/Acme/Tiny-GGUF/Q4_K_M"));
  const other = await storage.plan(input(model("hf.co/acme/tiny-gguf/q8_0", ["a"]), rest("download-3")));
  expect(other.targets.get(2)?.path).toBe(targetIn(place.ollama, "manifests/hf.co/Acme/Tiny-GGUF/q8_0"));
});

test("a host with a port is a folder of that name", async () => {
  using place = new Place();
  await pull(place.storage(), model("localhost:5000/me/model/tag", ["a"]));
  expect(place.files(place.ollama)).toContain("manifests/localhost:5000/me/model/tag");
});

test("F124 F198 paths that are none of a models directory are refused, and links that lead out of it", async () => {
  using place = new Place();
  const storage = place.storage();
  const refused = async (wish: Wish) => (await failure(storage.plan(input([wish], rest())))).code;
  const hex = sha256("x").hex;
  for (const path of [
    `blobs/sha256-${hex}/x`,
    `blobs/sha256:${hex}`,
    `blobs/../sha256-${hex}`,
    "blobs/sha256-00",
    blob("y"),
    `manifests/${NAME}/more`,
    "manifests/a/b/c",
    "manifests/../b/c/d",
    "manifests/a/../../d",
    "manifests/a//c/d",
    "manifests/a/b:x/c/d",
    "manifests/a/b/c/d.part",
    "elsewhere/a/b/c",
    "",
  ])
    expect([path, await refused({ path, content: "x" })]).toEqual([path, "invalid_path"]);
  expect(await refused({ path: blob("x"), content: "x", digest: null })).toBe("invalid_path");
  mkdirSync(place.ollama, { recursive: true });
  mkdirSync(join(place.dir, "outside"));
  symlinkSync(join(place.dir, "outside"), join(place.ollama, "blobs"));
  expect(await refused({ path: blob("x"), content: "x" })).toBe("invalid_path");
});

test("removing a manifest removes the blobs that no other one names, and only those", async () => {
  using place = new Place();
  const storage = place.storage();
  const [one, two] = [model(NAME, ["mine", "shared"]), model("hf.co/a/b/latest", ["yours", "shared"])];
  await pull(storage, one);
  await pull(storage, two, "download-2");
  const path = (wish: Wish | undefined) => targetIn(place.ollama, wish!.path);
  // A blob that a model still needs stays, in whatever order they go.
  await storage.remove(path(one[1]));
  expect(place.files(place.ollama)).toContain(blob("shared"));
  await storage.remove(path(one[2]));
  expect(place.files(place.ollama)).toEqual(two.map((wish) => wish.path).sort());
  await storage.remove(path(two[2]));
  expect(place.files(place.ollama)).toEqual([]);
  await storage.remove(path(two[2]));
});

test("while a manifest cannot be read no blob is removed", async () => {
  using place = new Place();
  const storage = place.storage();
  const wishes = model(NAME, ["weights"]);
  await pull(storage, wishes);
  mkdirSync(join(place.ollama, LIBRARY, "broken"), { recursive: true });
  writeFileSync(join(place.ollama, LIBRARY, "broken", "latest"), "{ cut");
  await storage.remove(targetIn(place.ollama, wishes[1]!.path));
  expect(place.files(place.ollama)).toEqual([blob("weights"), `${LIBRARY}/broken/latest`]);
  rmSync(join(place.ollama, LIBRARY, "broken"), { recursive: true });
  await storage.remove(targetIn(place.ollama, blob("weights")));
  expect(place.files(place.ollama)).toEqual([]);
});

test("a manifest is named and a blob removed one after the other: never a model without its parts", async () => {
  using place = new Place();
  const storage = place.storage();
  const [one, two] = [model(NAME, ["a", "shared"]), model("hf.co/a/b/latest", ["b", "shared"])];
  await pull(storage, one);
  const plan = await storage.plan(input(two, rest("download-2")));
  await put(storage, plan.targets.get(1)!, "b");
  // Both at the same moment: either the blob stays, or the second model is not there.
  const [sealed] = await Promise.allSettled([
    put(storage, plan.targets.get(3)!, two[2]!.content!),
    storage.remove(targetIn(place.ollama, one[2]!.path)),
  ]);
  const files = place.files(place.ollama).filter((path) => !path.endsWith(".part"));
  expect(files.includes(blob("shared"))).toBe(sealed!.status === "fulfilled");
  expect(files.includes(two[2]!.path)).toBe(sealed!.status === "fulfilled");
});

test("an empty blob, and a models directory that may not be written", async () => {
  using place = new Place();
  await pull(place.storage(), model(NAME, [""]));
  expect(readFileSync(join(place.ollama, blob(""))).length).toBe(0);
  if (process.getuid?.() === 0) return;
  chmodSync(place.ollama, 0o555);
  const storage = place.storage();
  const plan = await storage.plan(input(model(NAME, ["b"]), rest()));
  const { code, message } = await failure(storage.open(plan.targets.get(1)!));
  chmodSync(place.ollama, 0o755);
  expect([code, message.includes("owner")]).toEqual(["read_only", true]);
});

test("the free space and the size of the models directory are known to storage", async () => {
  using place = new Place();
  const storage = place.storage();
  await pull(storage, model(NAME, ["weights"]));
  const { modelsBytes } = await storage.usage();
  expect(modelsBytes).toBe(
    place.files(place.ollama).reduce((sum, path) => sum + statSync(join(place.ollama, path)).size, 0),
  );
  const reservation = await storage.reserve(targetIn(place.ollama, blob("x")), 1000);
  reservation.release();
});
