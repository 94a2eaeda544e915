import { describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import type { LayoutName, SourceRef } from "../../src/core/download.ts";
import { knownTarget, targetIn } from "../../src/core/target-path.ts";
import { numbered } from "../../src/storage/names.ts";
import { failure, input, Place, store, type Wish } from "./support.ts";

/** Final names relative to the models directory. */
async function names(
  place: Place,
  wishes: readonly Wish[],
  rest: Parameters<typeof input>[1] = {},
): Promise<string[]> {
  const plan = await place.storage().plan(input(wishes, rest));
  return [...plan.targets.values()].map(({ path }) => path.slice(place.models.length + 1));
}
const takes = (place: Place, ...paths: string[]) => ({
  taken: async (path: string) => paths.map((p) => join(place.models, p)).includes(path),
});

describe("A18 names", () => {
  test("hub files below their repository, files of URLs by their name, partials beside them", async () => {
    using place = new Place();
    expect(await names(place, [{ path: "sub/m.gguf" }])).toEqual(["acme/tiny/sub/m.gguf"]);
    expect(await names(place, [{ path: "m.gguf" }], { repo: null })).toEqual(["m.gguf"]);
    const plan = await place.storage().plan(input([{ path: "m.gguf" }]));
    const at = plan.targets.get(1)!;
    expect(at.partial).toMatch(/\/acme\/tiny\/m\.gguf\.[0-9a-f]{8}\.part$/);
    expect(plan.localPath).toBe(at.path);
    const other = await place.storage().plan(input([{ path: "m.gguf" }], { id: "download-2" }));
    expect(other.targets.get(1)!.partial).not.toBe(at.partial);
  });

  test("the expected place, before anything is known of the files", () => {
    using place = new Place();
    const of = (ref: Partial<SourceRef>, layout: LayoutName = "flat") =>
      place.storage().expected?.({ provider: "p", key: "k", url: "http://h/", ...ref }, layout);
    const repo = "acme/tiny";
    expect(of({ repo, files: ["sub/m.gguf"] })).toBe(targetIn(place.models, "acme/tiny/sub/m.gguf"));
    expect(of({ repo })).toBe(targetIn(place.models, "acme/tiny"));
    expect(of({ repo, include: ["*.gguf"] })).toBe(targetIn(place.models, "acme/tiny"));
    expect(of({ filename: "m.gguf", files: ["m.gguf"] })).toBe(targetIn(place.models, "m.gguf"));
    expect(of({ repo }, "hf-cache")).toBeNull();
    expect(of({ filename: "m.gguf" }, "hf-cache")).toBe(targetIn(place.models, "m.gguf"));
    expect([of({ repo: "../x" }), of({ repo, files: ["../x"] }), of({})]).toEqual([null, null, null]);
    expect(existsSync(place.models)).toBe(false);
  });

  test("the folder is what a many-file download shows", async () => {
    using place = new Place();
    const plan = await place.storage().plan(input([{ path: "a" }, { path: "b" }]));
    expect(plan.localPath).toBe(targetIn(place.models, "acme/tiny"));
  });

  test("never over another download's file: the next number", async () => {
    using place = new Place();
    const taken = takes(place, "acme/tiny/m.gguf", "acme/tiny/m-2.gguf");
    expect(await names(place, [{ path: "m.gguf" }], taken)).toEqual(["acme/tiny/m-3.gguf"]);
  });

  test("F91 never over a file that nobody knows; the very same size with a digest is left to be compared", async () => {
    using place = new Place();
    mkdirSync(join(place.models, "acme/tiny"), { recursive: true });
    writeFileSync(join(place.models, "acme/tiny/m.gguf"), "theirs");
    expect(await names(place, [{ path: "m.gguf", content: "longer than theirs" }])).toEqual([
      "acme/tiny/m-2.gguf",
    ]);
    expect(await names(place, [{ path: "m.gguf", content: "theirs" }])).toEqual(["acme/tiny/m.gguf"]);
    expect(await names(place, [{ path: "m.gguf", content: "theirs", digest: null }])).toEqual([
      "acme/tiny/m-2.gguf",
    ]);
    symlinkSync("m.gguf", join(place.models, "acme/tiny/link.gguf"));
    expect(await names(place, [{ path: "link.gguf", content: "m.gguf" }])).toEqual(["acme/tiny/link-2.gguf"]);
  });

  test("a file named like a folder goes beside it; a folder cannot be where a file is", async () => {
    using place = new Place();
    mkdirSync(join(place.models, "acme"), { recursive: true });
    expect(await names(place, [{ path: "acme" }], { repo: null })).toEqual(["acme-2"]);
    writeFileSync(join(place.models, "org"), "file");
    const error = await failure(place.storage().plan(input([{ path: "m.gguf" }], { repo: "org/name" })));
    expect(error).toMatchObject({ code: "name_collision" });
    expect(error.message).toContain(join(place.models, "org"));
  });

  test("a download keeps the names it had, whatever stands there", async () => {
    using place = new Place();
    const target = join(place.models, "acme/tiny/m-7.gguf");
    mkdirSync(join(place.models, "acme/tiny"), { recursive: true });
    writeFileSync(target, "half of it");
    expect(await names(place, [{ path: "m.gguf", target }])).toEqual(["acme/tiny/m-7.gguf"]);
    expect(await names(place, [{ path: "m.gguf", target: "/etc/passwd" }])).toEqual(["acme/tiny/m.gguf"]);
    const taken = takes(place, "acme/tiny/m-7.gguf");
    expect(await names(place, [{ path: "m.gguf", target }], taken)).toEqual(["acme/tiny/m.gguf"]);
  });

  test("A17 a set of files moves to a folder of its own when one name is taken", async () => {
    using place = new Place();
    const set = [{ path: "m-00001-of-00002.gguf" }, { path: "m-00002-of-00002.gguf" }];
    const taken = takes(place, "acme/tiny/m-00002-of-00002.gguf");
    expect(await names(place, set, taken)).toEqual(set.map(({ path }) => `acme/tiny-2/${path}`));
    mkdirSync(join(place.models, "acme/tiny-2"), { recursive: true });
    expect(await names(place, set, taken)).toEqual(set.map(({ path }) => `acme/tiny-3/${path}`));
    const resumed = set.map(({ path }, i) => ({
      path,
      target: i === 0 ? join(place.models, "acme/tiny-2", path) : null,
    }));
    expect(await names(place, resumed, taken)).toEqual(set.map(({ path }) => `acme/tiny-2/${path}`));
  });

  test("two downloads planned at the same moment never get one name", async () => {
    using place = new Place();
    const storage = place.storage();
    const plans = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        storage.plan(input([{ path: "m.gguf" }], { id: `d-${i}`, repo: null })),
      ),
    );
    expect(new Set(plans.map((plan) => plan.targets.get(1)!.path)).size).toBe(20);
    const again = await storage.plan(input([{ path: "m.gguf" }], { id: "d-0", repo: null }));
    expect(again.targets.get(1)!.path).toBe(plans[0]!.targets.get(1)!.path);
  });

  const NUMBERED: [string, string][] = [
    ["/m/model.gguf", "/m/model-2.gguf"],
    ["/m/model-00001-of-00003.gguf", "/m/model-2-00001-of-00003.gguf"],
    ["/m/a.tar.gz", "/m/a-2.tar.gz"],
    ["/m/.gitattributes", "/m/.gitattributes-2"],
    ["/m.d/README", "/m.d/README-2"],
  ];
  for (const [path, wanted] of NUMBERED)
    test(`${path} -> ${wanted}`, () => {
      expect(numbered(knownTarget(path), 2)).toBe(knownTarget(wanted));
    });
});

describe("what is refused", () => {
  test("F124-F134 unsafe paths and repositories, before anything is created", async () => {
    using place = new Place();
    const storage = place.storage();
    for (const path of ["../x", "/etc/x", "a\\b", "C:x", "a\u0000b", "nul", "x.part", ""])
      expect([path, (await failure(storage.plan(input([{ path }])))).code]).toEqual([path, "invalid_path"]);
    for (const repo of ["../..", "a/../b", "/abs"])
      expect([repo, (await failure(storage.plan(input([{ path: "m" }], { repo })))).code]).toEqual([
        repo,
        "invalid_path",
      ]);
    expect((await failure(storage.plan(input([{ path: "a/b" }], { repo: null })))).code).toBe("invalid_path");
    expect(existsSync(place.models)).toBe(false);
  });

  test("F122 a path too long for the system is told before the first byte", async () => {
    using place = new Place();
    const path = Array.from({ length: 9 }, () => "d".repeat(120)).join("/");
    expect((await failure(place.storage().plan(input([{ path }])))).code).toBe("invalid_path");
  });

  test("F123 F132 names that fall together on other systems, and a file that is a folder too", async () => {
    using place = new Place();
    const storage = place.storage();
    for (const pair of [
      ["README.md", "readme.md"],
      ["caf\u00e9", "cafe\u0301"],
      ["a/x", "A/X"],
      ["model", "Model/x"],
    ]) {
      const error = await failure(storage.plan(input(pair.map((path) => ({ path })))));
      expect([pair, error.code]).toEqual([pair, "name_collision"]);
    }
  });
});

describe("taking away", () => {
  test("A6 discard removes the partial file and the folders it leaves empty, nothing else", async () => {
    using place = new Place();
    const storage = place.storage();
    const plan = await storage.plan(input([{ path: "a/b/m.gguf" }]));
    const at = plan.targets.get(1)!;
    const part = await storage.open(at);
    await part.close();
    writeFileSync(join(place.models, "acme/other.txt"), "mine");
    await storage.discard([at]);
    await storage.discard([at]);
    expect(place.files()).toEqual(["models/acme/other.txt"]);
    expect(existsSync(join(place.models, "acme/tiny"))).toBe(false);
  });

  test("F198 nothing is taken away behind a folder that has become a link to elsewhere", async () => {
    using place = new Place();
    const storage = place.storage();
    const plan = await storage.plan(input([{ path: "a/m.gguf" }]));
    const at = plan.targets.get(1)!;
    await (await storage.open(at)).close();
    const elsewhere = join(place.dir, "elsewhere");
    mkdirSync(join(elsewhere, "tiny/a"), { recursive: true });
    renameSync(join(place.models, "acme"), join(place.dir, "moved"));
    symlinkSync(elsewhere, join(place.models, "acme"));
    await storage.discard([at]);
    expect(existsSync(join(elsewhere, "tiny/a"))).toBe(true);
    writeFileSync(join(elsewhere, "tiny/a", basename(at.partial)), "theirs");
    await storage.discard([at]);
    expect(place.files(elsewhere)).toEqual([`tiny/a/${basename(at.partial)}`]);
  });

  test("remove takes files inside only, and never a folder", async () => {
    using place = new Place();
    const storage = place.storage();
    const [path] = await store(storage, [{ path: "m.gguf" }]);
    const outside = join(place.dir, "precious");
    writeFileSync(outside, "x");
    for (const bad of [outside, join(place.models, "../precious"), place.models, "/etc/hostname"])
      expect([bad, (await failure(storage.remove(knownTarget(bad)))).code]).toEqual([bad, "invalid_path"]);
    expect((await failure(storage.remove(targetIn(place.models, "acme")))).code).toBe("invalid_path");
    mkdirSync(join(place.dir, "elsewhere"));
    writeFileSync(join(place.dir, "elsewhere/x"), "x");
    symlinkSync(join(place.dir, "elsewhere"), join(place.models, "way-out"));
    expect((await failure(storage.remove(targetIn(place.models, "way-out/x")))).code).toBe("invalid_path");
    await storage.remove(path!);
    await storage.remove(path!);
    expect(place.files().filter((f) => !f.includes("way-out"))).toEqual(["elsewhere/x", "precious"]);
    expect(readFileSync(outside, "utf8")).toBe("x");
  });

  test("stat sees files only", async () => {
    using place = new Place();
    const storage = place.storage();
    const [path] = await store(storage, [{ path: "m.gguf", content: "12345" }]);
    expect(await storage.stat(path!)).toEqual({ exists: true, size: 5, modifiedAt: statSync(path!).mtimeMs });
    expect(await storage.stat(place.models)).toEqual({ exists: false, size: null, modifiedAt: null });
    expect(await storage.stat(targetIn(path!, "below"))).toEqual({
      exists: false,
      size: null,
      modifiedAt: null,
    });
  });
});
