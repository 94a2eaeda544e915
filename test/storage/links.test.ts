import { describe, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { shortId } from "../../src/storage/names.ts";
import { COMMIT, input, Place, sha256, store } from "./support.ts";

const hub = { layout: "hf-cache" as const };
const MODEL = { path: "q/m.gguf", content: "model bytes" };
const folderOf = (place: Place) => join(place.cache, "models--acme--tiny");
const snapshotOf = (place: Place, commit = COMMIT) => join(folderOf(place), "snapshots", commit);

/** A file outside, and a link to it at `path`: whoever follows it writes there. */
function plant(place: Place, path: string): () => string {
  const outside = join(place.dir, "somebody's.txt");
  if (!existsSync(outside)) writeFileSync(outside, "untouched");
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(outside, path);
  return () => readFileSync(outside, "utf8");
}

/** Moves a folder out of the models directory and leaves a link to it; returns where it is. */
function moved(place: Place, folder: string): string {
  const outside = join(place.dir, `outside-${basename(folder)}`);
  renameSync(folder, outside);
  symlinkSync(outside, folder);
  return outside;
}

describe("F198 a link planted under a name of ours is not followed", () => {
  test("where a ref is written aside", async () => {
    using place = new Place();
    const { id } = input([]).download;
    const outside = plant(place, join(folderOf(place), `.ref.${shortId(id)}.part`));
    await store(place.storage(), [MODEL], hub);
    expect(outside()).toBe("untouched");
    const ref = join(folderOf(place), "refs", "main");
    expect([lstatSync(ref).isFile(), readFileSync(ref, "utf8")]).toEqual([true, COMMIT]);
  });

  test("where a copy is made aside", async () => {
    using place = new Place();
    const storage = place.storage({ symlinks: false });
    const blob = join(folderOf(place), "blobs", sha256(MODEL.content).hex);
    mkdirSync(dirname(blob), { recursive: true });
    writeFileSync(blob, MODEL.content);
    const path = join(snapshotOf(place), MODEL.path);
    const outside = plant(place, `${path}.copy.part`);
    expect(await store(storage, [MODEL], hub)).toEqual<string[]>([path]);
    expect(outside()).toBe("untouched");
    expect([lstatSync(path).isFile(), readFileSync(path, "utf8")]).toEqual([true, MODEL.content]);
  });

  test("where a partial file is", async () => {
    using place = new Place();
    const storage = place.storage();
    const plan = await storage.plan(input([MODEL]));
    const outside = plant(place, plan.targets.get(1)!.partial);
    await expect(storage.open(plan.targets.get(1)!)).rejects.toThrow();
    expect(outside()).toBe("untouched");
  });

  test("where the content of a removed file is, or the refs to it", async () => {
    using place = new Place();
    const [path] = await store(place.storage(), [MODEL], hub);
    const [blobs, refs] = ["blobs", "refs"].map((name) => moved(place, join(folderOf(place), name)));
    await place.storage().remove(path!);
    expect(existsSync(path!)).toBe(false);
    expect([place.files(blobs), place.files(refs)]).toEqual([[sha256(MODEL.content).hex], ["main"]]);
  });

  test("where the blobs of a removed model are", async () => {
    using place = new Place();
    const storage = place.storage();
    const weights = { path: `blobs/sha256-${sha256("weights").hex}`, content: "weights" };
    const layers = [{ digest: `sha256:${sha256("weights").hex}`, size: 7 }];
    const manifest = {
      path: "manifests/registry.ollama.ai/library/m/latest",
      content: JSON.stringify({ layers }),
    };
    const [path, name] = await store(storage, [weights, manifest], { layout: "ollama" });
    const outside = moved(place, join(place.ollama, "blobs"));
    await storage.remove(name!);
    expect([existsSync(name!), place.files(outside)]).toEqual([false, [basename(path!)]]);
  });
});
