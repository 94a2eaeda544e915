import { Database as Sqlite } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  type PathLike,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import { openDatabase } from "../../src/db/index.ts";
import { STEPS } from "../../src/db/migrate.ts";
import { connect, isSafeToShare, sqliteVersion } from "../../src/db/sqlite.ts";
import { Store } from "../../src/db/store.ts";
import { systemCalls } from "../../src/db/system.ts";
import { child } from "./child.ts";
import { damageIndex } from "./damage.ts";
import { fileDraft, insert, recordingLog } from "./rows.ts";
import { cleanUpAfterEach, open, tempDir } from "./support.ts";

cleanUpAfterEach();

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

describe("the data directory", () => {
  test("F119 is made 0700 with files 0600, whatever the umask and however wide they were", async () => {
    const dataDir = join(tempDir(), "new", "data");
    const old = process.umask(0);
    try {
      const db = await open({ dataDir });
      await insert(db);
      expect(modeOf(dataDir)).toBe("700");
      for (const name of readdirSync(dataDir))
        expect([name, modeOf(join(dataDir, name))]).toEqual([name, "600"]);
      expect(readdirSync(dataDir)).toContain("state.db-wal");
      await db.close();
      chmodSync(join(dataDir, "state.db"), 0o644);
      await insert(await open({ dataDir }));
      for (const name of readdirSync(dataDir))
        expect([name, modeOf(join(dataDir, name))]).toEqual([name, "600"]);
    } finally {
      process.umask(old);
    }
  });

  test("one that holds other things keeps its mode", async () => {
    const dataDir = tempDir();
    writeFileSync(join(dataDir, "something"), "");
    chmodSync(dataDir, 0o755);
    await open({ dataDir });
    expect(modeOf(dataDir)).toBe("755");
  });

  test("a path that cannot be a directory is refused with the path in the message", async () => {
    const file = join(tempDir(), "file");
    writeFileSync(file, "");
    await expect(open({ dataDir: join(file, "data") })).rejects.toThrow(file);
  });

  test("F109 a second opener in this process is told who holds it, and gets it once it is free", async () => {
    const dataDir = tempDir();
    const first = await open({ dataDir });
    await expect(open({ dataDir })).rejects.toMatchObject({ name: "DownloadError", code: "locked" });
    await expect(open({ dataDir })).rejects.toThrow(`${dataDir} is in use by another modelhaul process`);
    await first.close();
    await insert(await open({ dataDir }));
  });

  test("F109 the lock is the process's own: held against others while it lives, gone when it is killed", async () => {
    const dataDir = tempDir();
    const holder = child("hold", dataDir);
    expect(await holder.line()).toBe("open");
    await expect(open({ dataDir })).rejects.toMatchObject({ code: "locked" });
    const second = child("hold", dataDir);
    expect(await second.line()).toBe("error locked");
    await second.exited;
    holder.kill();
    await holder.exited;
    await insert(await open({ dataDir }));
  });

  test.each([
    ["empty", ""],
    ["with zeros in it", "\0".repeat(5000)],
    ["with something else in it", "not a database, not by far".repeat(400)],
  ])("F101 a lock file %s is no obstacle, and a lock all the same (I5)", async (_, content) => {
    const dataDir = tempDir();
    writeFileSync(join(dataDir, "lock.db"), content);
    await insert(await open({ dataDir }));
    await expect(open({ dataDir })).rejects.toMatchObject({ code: "locked" });
    const second = child("hold", dataDir);
    expect(await second.line()).toBe("error locked");
  });
});

describe("an existing database", () => {
  test("keeps everything over close and open, and numbers go on growing", async () => {
    const dataDir = tempDir();
    const first = await open({ dataDir });
    const row = await insert(first);
    await first.saveSetting("k", 1);
    const seq = first.nextSeq();
    await first.close();
    expect(readdirSync(dataDir).sort()).toEqual(["lock.db", "reserve", "state.db"]);
    const second = await open({ dataDir });
    expect(await second.get(row.id)).toEqual(row);
    expect(await second.setting("k")).toBe(1);
    expect(second.nextSeq()).toBeGreaterThan(seq);
  });

  test("F107 of a newer version is refused with both versions named, and not a byte is written", async () => {
    const dataDir = tempDir();
    await (await open({ dataDir })).close();
    const path = join(dataDir, "state.db");
    const raw = new Sqlite(path);
    raw.run(`PRAGMA user_version = ${STEPS.length + 7}`);
    raw.close();
    const before = readFileSync(path);
    const error = await open({ dataDir }).catch((e: unknown) => e);
    expect(error).toMatchObject({ name: "DownloadError" });
    expect(String(error)).toContain(
      `newer modelhaul (schema ${STEPS.length + 7}, this one knows ${STEPS.length})`,
    );
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(readdirSync(dataDir).filter((name) => name.includes("damaged"))).toEqual([]);
  });

  test("F107 is refused even when the newer version was killed with its changes still in the log", async () => {
    const dataDir = tempDir();
    const writer = child("newer", dataDir);
    expect(await writer.line()).toBe("written");
    writer.kill();
    await writer.exited;
    const log = readFileSync(join(dataDir, "state.db-wal"));
    await expect(open({ dataDir })).rejects.toThrow("newer modelhaul");
    expect(readFileSync(join(dataDir, "state.db-wal")).equals(log)).toBe(true);
  });

  test.each([
    ["that is no database", (path: string) => writeFileSync(path, "not a database, not by far".repeat(400))],
    ["cut to half a page", (path: string) => writeFileSync(path, readFileSync(path).subarray(0, 2000))],
  ])("F103 %s is kept aside and a fresh one made, with a warning that names the copy", async (_, damage) => {
    const dataDir = tempDir();
    const models = join(dataDir, "models");
    mkdirSync(models);
    writeFileSync(join(models, "m.gguf"), "weights");
    const first = await open({ dataDir });
    await insert(first);
    await first.close();
    damage(join(dataDir, "state.db"));
    const damaged = readFileSync(join(dataDir, "state.db"));
    const log = recordingLog();
    const db = await open({ dataDir, log });
    await insert(db);
    const warning = log.lines.find((line) => line.level === "warn");
    expect(warning?.message).toContain("damaged");
    expect(readFileSync(String(warning?.fields?.copy)).equals(damaged)).toBe(true);
    expect(readFileSync(join(models, "m.gguf"), "utf8")).toBe("weights");
  });

  test("F103 what can still be read of a damaged one is saved, and its numbers are not given twice", async () => {
    const dataDir = tempDir();
    const first = await open({ dataDir });
    const rows = [];
    for (let i = 0; i < 300; i++) rows.push(await insert(first, { labels: { i: String(i) } }));
    const [file] = await first.putFiles(rows[0]!.id, [fileDraft(rows[0]!.id, "x")]);
    await first.saveDurable([{ fileId: file!.id, receipts: [{ start: 0, length: 7 }] }]);
    await first.saveSetting("k", "v");
    await first.close();
    const path = join(dataDir, "state.db");
    damageIndex(path, "downloads_model");
    const log = recordingLog();
    const db = await open({ dataDir, log });
    expect(log.lines.map((line) => line.fields?.downloads)).toEqual([300]);
    expect(await db.get(rows[299]!.id)).toEqual(rows[299]!);
    expect((await db.list({ labels: { i: "150" } }, { limit: 9 })).items).toEqual([rows[150]!]);
    expect(await db.receipts(file!.id)).toEqual([{ start: 0, length: 7 }]);
    expect(await db.setting("k")).toBe("v");
    expect((await insert(db)).seq).toBeGreaterThan(rows[299]!.seq);
  });

  test("F103 F108 what an earlier version left damaged is saved too, though it knows less", async () => {
    const dataDir = tempDir();
    const first = await open({ dataDir });
    const rows = [];
    for (let i = 0; i < 300; i++) rows.push(await insert(first));
    const [file] = await first.putFiles(rows[0]!.id, [fileDraft(rows[0]!.id, "x")]);
    await first.close();
    const path = join(dataDir, "state.db");
    const raw = new Sqlite(path);
    for (const column of ["checked", "partial"]) raw.run(`ALTER TABLE files DROP COLUMN ${column}`);
    raw.run("DROP INDEX downloads_open_engine");
    raw.run("DROP INDEX downloads_unfinished");
    raw.run("PRAGMA user_version = 4");
    raw.close();
    damageIndex(path, "downloads");
    const db = await open({ dataDir });
    expect(await db.get(rows[0]!.id)).toEqual(rows[0]!);
    expect(await db.files(rows[0]!.id)).toEqual([file!]);
  });

  test("F106 where shared memory cannot be relied on, one connection does without it", async () => {
    const dataDir = tempDir();
    const connection = connect(systemCalls, dataDir, false);
    const log = recordingLog();
    const store = new Store({ ...connection, dataDir, clock: systemClock, log, boot: "b" });
    await store.write(() => store.setMeta("a", "1"));
    expect(readdirSync(dataDir).sort()).toEqual(["state.db", "state.db-wal"]);
    for (let i = 0; i < 3000; i++) await store.write(() => store.setMeta("a", String(i)), { sync: false });
    expect(statSync(join(dataDir, "state.db-wal")).size).toBeLessThan(8 << 20);
    await store.close();
    expect(log.lines).toEqual([]);
    const raw = new Sqlite(join(dataDir, "state.db"), { readonly: true });
    expect(raw.query("SELECT value FROM meta WHERE key = 'a'").values()).toEqual([["2999"]]);
    raw.close();
  });

  test.each([
    ["3.7.0", false],
    ["3.43.2", false],
    ["3.50.9", false],
    ["3.51.2", false],
    ["3.51.3", true],
    ["3.51.10", true],
    ["3.53.0", true],
    ["4.0.0", true],
  ])("F104 SQLite %s may have two writers on one database: %p", (version, isSafe) => {
    expect(isSafeToShare(version)).toBe(isSafe);
  });

  test("F104 the SQLite that is built in is one of those", async () => {
    expect([sqliteVersion(), isSafeToShare()]).toEqual([expect.stringMatching(/^\d+\.\d+\.\d+$/), true]);
    const log = recordingLog();
    await open({ log });
    expect(log.lines).toEqual([]);
  });

  test.each([
    ["NFS", 0x6969, []],
    ["CIFS", 0xff534d42, []],
    ["Ceph", 0x00c36400, []],
    ["ext4", 0xef53, ["state.db-shm"]],
  ])("F106 on %s the database does without shared memory where it has to", async (_name, type, shared) => {
    const dataDir = tempDir();
    const statfsSync = ((path: string) => ({
      ...systemCalls.statfsSync(path),
      type,
    })) as typeof systemCalls.statfsSync;
    const db = await open({ dataDir, calls: { ...systemCalls, statfsSync } });
    const row = await insert(db);
    expect(readdirSync(dataDir).filter((name) => name.endsWith("-shm"))).toEqual(shared);
    expect((await db.get(row.id))?.id).toBe(row.id);
  });

  test("a database that cannot be opened after all is let go of, and can be opened again (I5)", async () => {
    const dataDir = tempDir();
    const held = () =>
      readdirSync("/proc/self/fd").filter((fd) => linkOf(`/proc/self/fd/${fd}`).startsWith(dataDir));
    const fdatasyncSync = () => {
      throw Object.assign(new Error("EIO"), { code: "EIO" });
    };
    await expect(open({ dataDir, calls: { ...systemCalls, fdatasyncSync } })).rejects.toMatchObject({
      code: "io",
    });
    expect(held()).toEqual([]);
    expect(await (await open({ dataDir })).counts()).toMatchObject({ queued: 0 });
  });

  test("F109 a lock file that another start makes at the same moment is no error of either", async () => {
    const dataDir = tempDir();
    // What is told here is a moment older than what is so.
    const existsSync = (path: PathLike) => {
      const wasThere = systemCalls.existsSync(path);
      if (!wasThere && String(path).endsWith("lock.db"))
        systemCalls.closeSync(systemCalls.openSync(path, "wx", 0o600));
      return wasThere;
    };
    const db = await open({ dataDir, calls: { ...systemCalls, existsSync } });
    expect(await db.counts()).toMatchObject({ queued: 0 });
  });

  test.each(["EMFILE", "ENFILE", "ENOTDIR", "ESTALE"])(
    "F113 %s while it is opened is an error that says where and what",
    async (code) => {
      const dataDir = tempDir();
      const openSync = () => {
        throw Object.assign(new Error(code), { code });
      };
      const error = await open({ dataDir, calls: { ...systemCalls, openSync } }).catch((thrown) => thrown);
      expect([error.name, error.code]).toEqual(["DownloadError", "io"]);
      expect(error.message).toContain(dataDir);
    },
  );

  test("an error of the last close is told in the log; the next process finds everything", async () => {
    const dataDir = tempDir();
    const log = recordingLog();
    const trouble = { isOn: false };
    const closeSync = (fd: number) => {
      systemCalls.closeSync(fd);
      if (trouble.isOn) throw Object.assign(new Error("EIO"), { code: "EIO" });
    };
    const db = await open({ dataDir, log, calls: { ...systemCalls, closeSync } });
    const row = await insert(db);
    trouble.isOn = true;
    await db.close();
    expect(log.lines.map(({ message }) => message)).toEqual(["the database could not be closed cleanly"]);
    expect((await (await open({ dataDir })).get(row.id))?.id).toBe(row.id);
  });

  test("after an orderly close the whole file is not looked through again", async () => {
    const dataDir = tempDir();
    const first = await open({ dataDir });
    for (let i = 0; i < 300; i++) await insert(first);
    await first.close();
    damageIndex(join(dataDir, "state.db"), "downloads_model", { clean: true });
    const log = recordingLog();
    await openDatabase({ dataDir, log, clock: systemClock }).then((db) => db.close());
    expect(log.lines).toEqual([]);
  });
});

/** Where it leads; nowhere once it is gone. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
