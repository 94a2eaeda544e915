/** What must hold when the database fails, or is slow, at the worst moment. */
import { expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { systemClock } from "../../src/core/clock.ts";
import { Journal } from "../../src/core/journal.ts";
import type { Database, DownloadPatch, PartFile } from "../../src/core/ports.ts";
import { knownTarget } from "../../src/core/target-path.ts";
import { openDatabase } from "../../src/db/index.ts";
import { draft } from "../db/rows.ts";
import { sha256Of } from "../support/bytes.ts";
import { TestClock } from "../support/clock.ts";
import { diskTrouble, type Hook, interpose } from "../support/database.ts";
import { ggufRepo, startHub } from "../support/hub.ts";
import { startOrigin } from "../support/origin.ts";
import { openProduct } from "../support/product.ts";
import { tempDir } from "../support/temp.ts";
import { digest, MB, slowOrigin } from "./support.ts";

type Hooks = Partial<Record<keyof Database, Hook>>;
const withHooks = (hooks: Hooks) => ({ database: (db: Database) => interpose(db, hooks) });

test("F80 how an attempt ended is recorded as soon as the database takes it, and the file is not lost", async () => {
  let failures = 0;
  const before: Hook["before"] = (args) => {
    const patch = args[2] as DownloadPatch;
    if (patch.state !== "completed" || failures === 2) return;
    failures++;
    throw diskTrouble();
  };
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 5, size: MB }] });
  await using product = await openProduct(withHooks({ update: { before } }));
  const { download } = await product.downloads.start({ url: origin.url("/m.bin") });
  const done = await product.reaches(download.id, "completed", "failed");
  expect(done.state).toBe("completed");
  expect(failures).toBe(2);
  expect(digest(done.localPath as string)).toBe(sha256Of(5, MB));
});

test("a row that becomes due while the queue is being looked at is not forgotten", async () => {
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 5, size: MB }] });
  const hooks: Hooks = {};
  await using product = await openProduct({ ...withHooks(hooks), settings: { paused: true } });
  const { download } = await product.downloads.start({ url: origin.url("/m.bin") });
  const due = Date.now() + 150;
  await product.db.update(download.id, {}, { notBefore: due });
  hooks.claim = {
    async after(_, count) {
      while (count < 3 && Date.now() <= due + 50) await systemClock.sleep(10);
    },
  };
  await product.downloads.changeSettings({ paused: false });
  expect((await product.reaches(download.id, "completed", "failed")).state).toBe("completed");
});

test("F76 the commit stands in the row before the files that were pinned to it", async () => {
  await using hub = await startHub({ repos: [ggufRepo("acme/tiny-gguf")] });
  const seen: unknown[] = [];
  const hooks: Hooks = {};
  await using product = await openProduct({ ...withHooks(hooks), hfEndpoint: hub.endpoint });
  hooks.putFiles = {
    async before([id]) {
      seen.push((await product.db.get(id as string))?.commit);
    },
  };
  const { download } = await product.downloads.start({ repoId: "acme/tiny-gguf" });
  const done = await product.reaches(download.id, "completed", "failed");
  expect(done.state).toBe("completed");
  expect(done.commit).toMatch(/^[0-9a-f]{40}$/);
  expect(seen).toEqual([done.commit]);
});

test("F80 watermarks and notes that could not be written are written with the next ones", async () => {
  using dir = tempDir("journal");
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const real = await openDatabase({ dataDir: dir.path, clock: systemClock, log });
  const row = await real.insert(draft());
  if ("conflict" in row) throw new Error("conflict");
  const rest = { target: null, validator: null, partial: null, bytes: 0, error: null, completedAt: null };
  const pending = { size: 1000, digest: null, computed: null, verified: false, checked: null, locator: "" };
  const [file] = await real.putFiles(row.id, [
    { downloadId: row.id, path: "f", state: "pending", ...pending, ...rest },
  ]);
  const id = file?.id as number;
  const fail: Hook = {
    before: (_, count) => {
      if (count === 1) throw diskTrouble();
    },
  };
  const journal = new Journal(interpose(real, { saveWritten: fail, updateFiles: fail }), systemClock, log);
  const part = { path: "f", initialLength: 0 } as unknown as PartFile;
  const watch = journal.open(id, part, [], 200 * MB);
  watch.written(0, 100);
  journal.note(id, { target: knownTarget("/first") });
  await expect(journal.flush()).rejects.toThrow("reports an error");
  journal.note(id, { bytes: 7 });
  await expect(journal.flush()).rejects.toThrow("reports an error");
  expect(await real.receipts(id)).toEqual([]);
  await journal.flush();
  expect(await real.receipts(id)).toEqual([{ start: 0, length: 100 }]);
  expect(await real.file(id)).toMatchObject({ target: "/first", bytes: 7 });
  await real.close();
});

test("a download that was claimed while everything was being paused goes back to the queue", async () => {
  await using origin = await slowOrigin();
  const hooks: Hooks = {};
  await using product = await openProduct(withHooks(hooks));
  hooks.claim = {
    async after() {
      await product.downloads.changeSettings({ paused: true });
    },
  };
  const { download } = await product.downloads.start({ url: origin.url("/slow.gguf") });
  await product.reaches(download.id, "downloading");
  const back = await product.reaches(download.id, "queued", "completed");
  expect(back.state).toBe("queued");
  delete hooks.claim;
  origin.limits.ratePerConnection = 1000 * MB;
  origin.limits.rateTotal = 1000 * MB;
  await product.downloads.changeSettings({ paused: false });
  expect((await product.reaches(download.id, "completed", "failed")).state).toBe("completed");
});

test("F80 an attempt that cannot record how far it came lets go of its file all the same", async () => {
  await using origin = await slowOrigin();
  const hooks: Hooks = {};
  await using product = await openProduct(withHooks(hooks));
  const held = () =>
    readdirSync("/proc/self/fd").filter((fd) => linkOf(`/proc/self/fd/${fd}`).startsWith(product.models));
  const { download } = await product.downloads.start({ url: origin.url("/slow.gguf") });
  await product.has(download.id, MB);
  expect(held().length).toBe(1);
  const trouble = () => {
    throw diskTrouble();
  };
  for (const method of ["saveWritten", "updateFiles", "saveDurable", "dropReceipts"] as const)
    hooks[method] = { before: trouble };
  await product.downloads.pause(download.id);
  const stopped = await product.downloads.get(download.id);
  expect([held(), stopped?.connections]).toEqual([[], 0]);
  for (const method of Object.keys(hooks) as (keyof Hooks)[]) delete hooks[method];
  origin.limits.ratePerConnection = 1000 * MB;
  origin.limits.rateTotal = 1000 * MB;
  await product.downloads.resume(download.id);
  const done = await product.reaches(download.id, "completed", "failed");
  expect(digest(done.localPath as string)).toBe(sha256Of(3, 8 * MB));
});

/** Where it leads; nowhere once it is gone. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

test("what is briefly on its way leaves no receipts behind, however slow it is", async () => {
  using dir = tempDir("journal");
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const clock = new TestClock();
  const synced = Promise.withResolvers<void>();
  const db = interpose(await openDatabase({ dataDir: dir.path, clock, log }), {
    saveDurable: { after: () => synced.resolve() },
  });
  const row = await db.insert(draft());
  if ("conflict" in row) throw new Error("conflict");
  const rest = { target: null, validator: null, partial: null, bytes: 0, error: null, completedAt: null };
  const pending = {
    digest: null,
    computed: null,
    verified: false,
    checked: null,
    locator: "",
    state: "pending",
  } as const;
  const files = await db.putFiles(row.id, [
    { downloadId: row.id, path: "brief", size: 1000, ...pending, ...rest },
    { downloadId: row.id, path: "long", size: 200 * MB, ...pending, ...rest },
  ]);
  const journal = new Journal(db, clock, log);
  const part = { path: "f", initialLength: 0, sync: async () => {} } as unknown as PartFile;
  const watches = files.map(({ id, size }) => journal.open(id, part, [], size));
  for (const watch of watches) watch.written(0, 100);
  await clock.advance(6000);
  journal.start();
  await synced.promise;
  await journal.stop();
  expect(watches[0]?.saved).toBe(false);
  expect(await Promise.all(files.map(({ id }) => db.receipts(id)))).toEqual([
    [],
    [{ start: 0, length: 100 }],
  ]);
  await db.close();
});

test("F24 F80 bytes that became void are forgotten also when watermarks cannot be written at that moment", async () => {
  using dir = tempDir("journal");
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const real = await openDatabase({ dataDir: dir.path, clock: systemClock, log });
  const row = await real.insert(draft());
  if ("conflict" in row) throw new Error("conflict");
  const rest = { target: null, validator: null, partial: null, bytes: 0, error: null, completedAt: null };
  const pending = {
    size: 200 * MB,
    digest: null,
    computed: null,
    verified: false,
    checked: null,
    locator: "",
  };
  const [file] = await real.putFiles(row.id, [
    { downloadId: row.id, path: "f", state: "pending", ...pending, ...rest },
  ]);
  const id = file?.id as number;
  const failing = Promise.withResolvers<void>();
  const saveWritten: Hook = {
    before: async (_, count) => {
      if (count === 2) await failing.promise;
    },
  };
  const journal = new Journal(interpose(real, { saveWritten }), systemClock, log);
  const watch = journal.open(id, { path: "f", initialLength: 0 } as unknown as PartFile, [], 200 * MB);
  watch.written(0, 100);
  await journal.flush();
  watch.written(0, 200);
  const flushed = journal.flush().catch((error) => error);
  const reset = journal.reset(watch);
  failing.reject(diskTrouble());
  await reset;
  expect(((await flushed) as Error).message).toContain("reports an error");
  expect(await real.receipts(id)).toEqual([]);
  await real.close();
});

test("F24 F80 what is void and cannot be forgotten ends the attempt, and nothing else", async () => {
  await using origin = await slowOrigin();
  const unheard: unknown[] = [];
  const hear = (reason: unknown) => void unheard.push(reason);
  process.on("unhandledRejection", hear);
  let refusals = 0;
  const dropReceipts: Hook = {
    before() {
      if (++refusals === 1) throw diskTrouble();
    },
  };
  const settings = { retry: { baseMs: 1, maxMs: 2, maxAttempts: 3 } };
  await using product = await openProduct({ ...withHooks({ dropReceipts }), settings });
  const { download } = await product.downloads.start({ url: origin.url("/slow.gguf") });
  await product.has(download.id, MB);
  origin.put({ path: "/slow.gguf", seed: 9, size: 8 * MB });
  origin.down();
  origin.up();
  origin.limits.ratePerConnection = 1000 * MB;
  origin.limits.rateTotal = 1000 * MB;
  const done = await product.reaches(download.id, "completed", "failed");
  process.off("unhandledRejection", hear);
  expect([unheard, done.state, refusals > 0]).toEqual([[], "completed", true]);
  expect(digest(done.localPath as string)).toBe(sha256Of(9, 8 * MB));
});

/** What was written stays written, but is told as an error: the sync behind it failed (F85). */
const afterwards = (isIt: (args: readonly unknown[]) => boolean): Hook => {
  let failures = 0;
  return {
    after(args) {
      if (failures === 1 || !isIt(args)) return;
      failures = 1;
      throw diskTrouble();
    },
  };
};
const movesTo = (state: string) =>
  afterwards(([, , patch]) => (patch as DownloadPatch | undefined)?.state === state);

test("F85 a start or a resume that was written before its error goes on without being asked again", async () => {
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 5, size: MB }] });
  const hooks: Hooks = { insert: afterwards(() => true) };
  await using product = await openProduct({ ...withHooks(hooks), settings: { paused: true } });
  const request = { url: origin.url("/m.bin"), modelId: "m" };
  await expect(product.downloads.start(request)).rejects.toMatchObject({ code: "io" });
  await product.downloads.pause("m");
  await product.downloads.changeSettings({ paused: false });
  hooks.update = movesTo("queued");
  await expect(product.downloads.resume("m")).rejects.toMatchObject({ code: "io" });
  const done = await product.reaches("m", "completed", "failed");
  expect(digest(done.localPath as string)).toBe(sha256Of(5, MB));
});

test("F85 a start that was written before its error is begun at once", async () => {
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 5, size: MB }] });
  await using product = await openProduct(withHooks({ insert: afterwards(() => true) }));
  const request = { url: origin.url("/m.bin"), modelId: "m" };
  await expect(product.downloads.start(request)).rejects.toMatchObject({ code: "io" });
  expect((await product.reaches("m", "completed", "failed")).state).toBe("completed");
});

test("F85 a cancel that was refused leaves no wish behind that would keep the download waiting for ever", async () => {
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 5, size: MB }] });
  const hooks: Hooks = { setIntent: afterwards(() => true) };
  await using product = await openProduct({ ...withHooks(hooks), settings: { paused: true } });
  const { download } = await product.downloads.start({ url: origin.url("/m.bin") });
  await expect(product.downloads.cancel(download.id)).rejects.toMatchObject({ code: "io" });
  expect((await product.db.get(download.id))?.intent).toBeNull();
  hooks.update = { before: movesTo("cancelled").after as Hook["before"] & object };
  await expect(product.downloads.cancel(download.id)).rejects.toMatchObject({ code: "io" });
  await product.downloads.changeSettings({ paused: false });
  expect((await product.reaches(download.id, "completed", "failed")).state).toBe("completed");
});

test("F85 what was written before its error is told to those who watch", async () => {
  await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 5, size: MB }] });
  const hooks: Hooks = { update: movesTo("completed") };
  await using product = await openProduct(withHooks(hooks));
  const completed = Promise.withResolvers<void>();
  product.downloads.feed.subscribe((event) => {
    if (event.type === "download" && event.download.state === "completed") completed.resolve();
  });
  const removed = Promise.withResolvers<void>();
  product.downloads.feed.subscribe((event) => event.type === "removed" && removed.resolve());
  await product.downloads.start({ url: origin.url("/m.bin"), modelId: "m" });
  await completed.promise;
  hooks.remove = afterwards(() => true);
  await expect(product.downloads.forget("m", { files: false })).rejects.toMatchObject({ code: "io" });
  await removed.promise;
});

test("F151 a download that is claimed again before its last attempt has heard of its end keeps its slot and its commands", async () => {
  await using origin = await slowOrigin();
  const hooks: Hooks = {};
  await using product = await openProduct({ ...withHooks(hooks), settings: { maxConcurrent: 2 } });
  const { downloads } = product;
  const { download } = await downloads.start({ url: origin.url("/slow.gguf") });
  await product.reaches(download.id, "downloading");
  const [given, heard, again] = [0, 1, 2].map(() => Promise.withResolvers<void>());
  hooks.update = {
    async after([id, , patch]) {
      if (id !== download.id || (patch as DownloadPatch).state !== "queued") return;
      delete hooks.update;
      given?.resolve();
      await heard?.promise;
    },
  };
  hooks.claim = { after: () => again?.resolve() };
  await downloads.changeSettings({ paused: true });
  await given?.promise;
  await downloads.changeSettings({ paused: false });
  await again?.promise;
  await product.reachesSuch(download.id, ({ owner }) => owner !== null);
  heard?.resolve();
  await product.has(download.id, 1);
  const { download: paused } = await downloads.pause(download.id);
  expect(paused.state).toBe("paused");
});
