import { describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Storage, Target } from "../../src/core/ports.ts";
import { knownTarget, targetIn } from "../../src/core/target-path.ts";
import { systemDisk } from "../../src/storage/disk.ts";
import { failure, input, Place } from "./support.ts";

async function target(storage: Storage, path = "m.gguf"): Promise<Target> {
  return (await storage.plan(input([{ path }]))).targets.get(1)!;
}

describe("writing", () => {
  test("bytes go where they are sent, in any order, in any number of pieces, at the same time", async () => {
    using place = new Place();
    const storage = place.storage();
    const at = await target(storage);
    const part = await storage.open(at);
    expect(part.initialLength).toBe(0);
    const expected = Buffer.alloc(300_000);
    for (let i = 0; i < expected.length; i++) expected[i] = (i * 31 + (i >> 8)) & 0xff;
    const pieces = Array.from({ length: 3_000 }, (_, i) => expected.subarray(i * 50, i * 50 + 50));
    await Promise.all([
      part.write(150_000, [expected.subarray(150_000, 200_000)]),
      part.write(0, [...pieces, new Uint8Array(0)]),
      part.write(200_000, [
        new Uint8Array(0),
        expected.subarray(200_000, 250_000),
        expected.subarray(250_000),
      ]),
      part.write(7, []),
    ]);
    expect(Buffer.compare(readFileSync(part.path), expected)).toBe(0);
    await part.truncate(10);
    await part.sync();
    await part.close();
    await part.close();
    const again = await storage.open(at);
    expect(again.initialLength).toBe(10);
    await again.close();
    expect(await failure(again.write(0, [new Uint8Array(1)]))).toMatchObject({ code: "internal" });
  });

  test("F81 a system that takes a part of each write only gets the rest, one that takes nothing is told", async () => {
    using place = new Place();
    const limit = { bytes: 700 };
    const write: typeof systemDisk.write = (fd, bytes, at) =>
      systemDisk.write(
        fd,
        new Uint8Array(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, limit.bytes)),
        at,
      );
    const writev: typeof systemDisk.writev = (fd, [first], at) => write(fd, first!, at);
    const storage = place.storage({ disk: { ...systemDisk, write, writev } });
    const at = await target(storage);
    const part = await storage.open(at);
    const expected = Uint8Array.from({ length: 10_000 }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
    await part.write(0, [
      expected.subarray(0, 2_000),
      expected.subarray(2_000, 2_001),
      expected.subarray(2_001),
    ]);
    expect(Buffer.compare(readFileSync(part.path), expected)).toBe(0);
    limit.bytes = 0;
    expect((await failure(part.write(0, [expected]))).code).toBe("io");
    await part.close();
  });

  test("F119 partial files are the owner's alone, whatever mode they were left with", async () => {
    using place = new Place();
    const storage = place.storage();
    const at = await target(storage);
    await (await storage.open(at)).close();
    expect(statSync(at.partial).mode & 0o777).toBe(0o600);
    execFileSync("chmod", ["666", at.partial]);
    await (await storage.open(at)).close();
    expect(statSync(at.partial).mode & 0o777).toBe(0o600);
  });

  test("F90 a link, a directory or a FIFO in place of the partial file is refused and left alone", async () => {
    using place = new Place();
    const storage = place.storage();
    const at = await target(storage);
    await (await storage.open(at)).close();
    const victim = join(place.dir, "victim");
    writeFileSync(victim, "precious");
    const traps: [string, () => void][] = [
      ["link", () => symlinkSync(victim, at.partial)],
      ["broken link", () => symlinkSync(join(place.dir, "nowhere"), at.partial)],
      ["directory", () => mkdirSync(at.partial)],
      ["fifo", () => execFileSync("mkfifo", [at.partial])],
    ];
    for (const [what, set] of traps) {
      rmSync(at.partial, { recursive: true, force: true });
      set();
      expect([what, (await failure(storage.open(at))).code]).toEqual([what, "tampered"]);
    }
    expect(readFileSync(victim, "utf8")).toBe("precious");
    expect(existsSync(join(place.dir, "nowhere"))).toBe(false);
  });

  test("F90 F92 what was put in place of the partial file stays when the partial file is given up", async () => {
    using place = new Place();
    const storage = place.storage();
    const at = await target(storage);
    const part = await storage.open(at);
    await part.close();
    rmSync(at.partial);
    symlinkSync("elsewhere", at.partial);
    await storage.discard([at]);
    expect(lstatSync(at.partial).isSymbolicLink()).toBe(true);
    rmSync(at.partial);
    mkdirSync(at.partial);
    await storage.discard([at]);
    expect(statSync(at.partial).isDirectory()).toBe(true);
  });

  test("F198 a folder that is a link out of the models directory gets nothing", async () => {
    using place = new Place();
    const storage = place.storage();
    const at = await target(storage);
    const outside = join(place.dir, "outside");
    mkdirSync(outside);
    mkdirSync(dirname(dirname(at.path)), { recursive: true });
    symlinkSync(outside, dirname(at.path));
    expect((await failure(storage.open(at))).code).toBe("tampered");
    expect((await failure(storage.plan(input([{ path: "m.gguf" }])))).code).toBe("invalid_path");
    unlinkSync(dirname(at.path));
    symlinkSync(join(place.dir, "not-yet"), dirname(at.path));
    expect((await failure(storage.open(at))).code).toBe("invalid_path");
    expect(place.files(outside)).toEqual([]);
    expect(existsSync(join(place.dir, "not-yet"))).toBe(false);
  });

  test("a models directory that is itself a link is fine", async () => {
    using place = new Place();
    mkdirSync(join(place.dir, "disk"));
    symlinkSync(join(place.dir, "disk"), place.models);
    const storage = place.storage();
    const at = await target(storage);
    const part = await storage.open(at);
    await storage.commit(at, part);
    await part.close();
    expect(place.files(join(place.dir, "disk"))).toEqual(["acme/tiny/m.gguf"]);
  });
});

describe("the final name", () => {
  async function written(storage: Storage, text = "content") {
    const at = await target(storage);
    const part = await storage.open(at);
    await part.write(0, [Buffer.from(text)]);
    return { at, part };
  }

  test("A18 F119 complete files have the mode that files have here, and leave no partial", async () => {
    using place = new Place();
    const storage = place.storage();
    const { at, part } = await written(storage);
    expect(await storage.commit(at, part)).toBe(at.path);
    await part.close();
    expect(place.files()).toEqual(["models/acme/tiny/m.gguf"]);
    expect(readFileSync(at.path, "utf8")).toBe("content");
    expect(statSync(at.path).mode & 0o777).toBe(0o666 & ~process.umask());
  });

  test("F97 doing it again is harmless, after the end and after a crash in the middle", async () => {
    using place = new Place();
    const storage = place.storage();
    const { at, part } = await written(storage);
    linkSync(at.partial, at.path);
    expect(await storage.commit(at, part)).toBe(at.path);
    expect(place.files()).toEqual(["models/acme/tiny/m.gguf"]);
    expect(await storage.commit(at, part)).toBe(at.path);
    expect(readFileSync(at.path, "utf8")).toBe("content");
    await part.close();
  });

  test("F91 a file that appeared under the final name is not overwritten, the partial stays", async () => {
    using place = new Place();
    const storage = place.storage();
    const { at, part } = await written(storage);
    writeFileSync(at.path, "theirs");
    expect(await failure(storage.commit(at, part))).toMatchObject({ code: "name_collision" });
    expect(readFileSync(at.path, "utf8")).toBe("theirs");
    expect(readFileSync(at.partial, "utf8")).toBe("content");
    await part.close();
  });

  test("F92 F199 only the very file that was written gets the name", async () => {
    using place = new Place();
    const storage = place.storage();
    const { at, part } = await written(storage);
    renameSync(at.partial, `${at.partial}.moved`);
    expect((await failure(storage.commit(at, part))).code).toBe("tampered");
    writeFileSync(at.partial, "swapped");
    expect((await failure(storage.commit(at, part))).code).toBe("tampered");
    expect(existsSync(at.path)).toBe(false);
    await part.close();
  });

  test("F95 a final directory on another file system gets a copy", async () => {
    using place = new Place();
    using other = new Place();
    const shm = "/dev/shm";
    if (!existsSync(shm) || statSync(shm).dev === statSync(place.dir).dev) {
      console.warn("SKIPPED F95: /dev/shm is no other file system here");
      return;
    }
    const remote = knownTarget(join(shm, `modelhaul-${process.pid}`));
    mkdirSync(remote);
    try {
      const storage = place.storage({ hfCacheDir: remote });
      mkdirSync(place.models, { recursive: true });
      const at = {
        partial: targetIn(remote, "m.gguf.x.part"),
        path: targetIn(place.models, "m.gguf"),
      };
      const part = await storage.open(at);
      await part.write(0, [Buffer.from("far away")]);
      await storage.commit(at, part);
      await part.close();
      expect(readFileSync(at.path, "utf8")).toBe("far away");
      expect(statSync(at.path).mode & 0o777).toBe(0o666 & ~process.umask());
      expect(place.files(remote)).toEqual([]);
      expect(place.files(place.models)).toEqual(["m.gguf"]);

      const again = await storage.open(at);
      await again.write(0, [Buffer.from("other")]);
      expect((await failure(storage.commit(at, again))).code).toBe("name_collision");
      await again.close();
      expect(readFileSync(at.path, "utf8")).toBe("far away");
      expect(place.files(place.models)).toEqual(["m.gguf"]);
    } finally {
      rmSync(remote, { recursive: true, force: true });
    }
    expect(other.files()).toEqual([]);
  });

  test("many files of one directory finish together", async () => {
    using place = new Place();
    const storage = place.storage();
    const names = Array.from({ length: 200 }, (_, i) => `d/${i}.json`);
    const plan = await storage.plan(input(names.map((path) => ({ path }))));
    await Promise.all(
      [...plan.targets.values()].map(async (at, i) => {
        const part = await storage.open(at);
        await part.write(0, [Buffer.from(names[i]!)]);
        await storage.commit(at, part);
        await part.close();
      }),
    );
    expect(place.files(join(place.models, "acme/tiny"))).toEqual([...names].sort());
    for (const name of names) expect(readFileSync(join(place.models, "acme/tiny", name), "utf8")).toBe(name);
  });
});
