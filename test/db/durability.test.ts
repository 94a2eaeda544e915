import { Database as Sqlite } from "bun:sqlite";
import { describe, expect, spyOn, test } from "bun:test";
import { type fdatasync, type NoParamCallback, statSync } from "node:fs";
import { join } from "node:path";
import { GroupSync } from "../../src/db/sync.ts";
import { systemCalls } from "../../src/db/system.ts";
import { child } from "./child.ts";
import { fileDraft, insert, recordingLog } from "./rows.ts";
import { cleanUpAfterEach, open, tempDir } from "./support.ts";

cleanUpAfterEach();

interface Acknowledged {
  rows: Map<string, string>;
  gone: Set<string>;
  written: Map<number, number>;
  seq: number;
}

function note(known: Acknowledged, line: string): void {
  const [what, a = "", b = "", c = ""] = line.split(" ");
  if (what === "row") known.rows.set(a, "queued");
  if (what === "intent") known.rows.set(a, "pause");
  if (what === "state") known.rows.set(a, b);
  if (what === "gone") known.gone.add(a);
  if (what === "written") known.written.set(Number(a), Number(b));
  if (what === "row" || what === "seq") {
    const seq = Number(what === "row" ? b : a);
    if (seq <= known.seq) throw new Error(`number ${seq} came after ${known.seq}`);
    known.seq = seq;
  }
  if (c !== "" && what !== "written") throw new Error(`unexpected line ${line}`);
}

describe("F96 killed at any instant", () => {
  test("nothing acknowledged is lost, watermarks hold, numbers grow: six kills on one directory (I2, I3)", async () => {
    const dataDir = tempDir();
    const known: Acknowledged = { rows: new Map(), gone: new Set(), written: new Map(), seq: 0 };
    for (let round = 0; round < 6; round++) {
      const writer = child("write", dataDir);
      for (let lines = 0; lines < 150 + round * 37; lines++) note(known, (await writer.line())!);
      writer.kill();
      for (let line = await writer.line(); line !== undefined; line = await writer.line()) note(known, line);
      await writer.exited;

      const db = await open({ dataDir });
      for (const [id, state] of known.rows) {
        const row = await db.get(id);
        // A removal is acknowledged after it has happened, so one that was under way may be seen too.
        if (known.gone.has(id) || (state === "cancelled" && !row)) expect(row).toBeUndefined();
        else if (state === "pause") expect(row?.intent).toBe("pause");
        else if (state === "cancelled") expect(row?.state).toBe(state);
        else expect(row).toBeDefined();
      }
      for (const [fileId, upTo] of known.written) {
        const file = await db.file(fileId);
        if (!file) continue;
        const [first] = await db.receipts(fileId);
        expect(first!.start).toBe(0);
        expect(first!.length).toBeGreaterThanOrEqual(upTo);
        expect((await db.get(file.downloadId))!.bytes).toBeGreaterThanOrEqual(upTo);
      }
      known.seq = Math.max(known.seq, db.nextSeq());
      await db.close();
    }
    expect(known.gone.size).toBeGreaterThan(0);
  }, 60_000);
});

describe("F99 two watermarks", () => {
  const at = (start: number, length: number) => ({ start, length });

  test("written ones count under the boot they were made under, durable ones always", async () => {
    const dataDir = tempDir();
    const first = await open({ dataDir, bootId: "one" });
    const row = await insert(first, { total: 1000 });
    const fileId = (await first.putFiles(row.id, [fileDraft(row.id, "x")]))[0]!.id;
    await first.saveDurable([{ fileId, receipts: [at(0, 100)] }]);
    await first.saveWritten(
      [{ fileId, receipts: [at(0, 300), at(500, 50)] }],
      [{ id: row.id, bytes: 350, averageBps: 1 }],
    );
    await first.close();
    const sameBoot = await open({ dataDir, bootId: "one" });
    expect(await sameBoot.receipts(fileId)).toEqual([at(0, 300), at(500, 50)]);
    expect((await sameBoot.get(row.id))?.bytes).toBe(350);
    await sameBoot.close();
    const nextBoot = await open({ dataDir, bootId: "two" });
    expect(await nextBoot.receipts(fileId)).toEqual([at(0, 100)]);
    await nextBoot.saveWritten([{ fileId, receipts: [at(100, 20)] }], []);
    expect(await nextBoot.receipts(fileId)).toEqual([at(0, 120)]);
    await nextBoot.close();
    const backAgain = await open({ dataDir, bootId: "one" });
    expect(await backAgain.receipts(fileId)).toEqual([at(0, 100)]);
  });

  test("I3 progress goes back to what survived a restart of the machine, finished files count whole", async () => {
    const dataDir = tempDir();
    const first = await open({ dataDir, bootId: "one" });
    const row = await insert(first, { total: 10_000 });
    const untouched = await insert(first, { total: 500, bytes: 400 });
    const [done, part, other] = await first.putFiles(row.id, [
      fileDraft(row.id, "done", { state: "done", bytes: 1000 }),
      fileDraft(row.id, "part"),
      fileDraft(row.id, "other"),
    ]);
    await first.saveDurable([
      { fileId: part!.id, receipts: [at(0, 30)] },
      { fileId: other!.id, receipts: [at(0, 7)] },
    ]);
    await first.saveWritten(
      [{ fileId: part!.id, receipts: [at(0, 900)] }],
      [{ id: row.id, bytes: 1907, averageBps: 5 }],
    );
    await first.close();
    const db = await open({ dataDir, bootId: "two" });
    expect((await db.get(row.id))?.bytes).toBe(1037);
    expect((await db.files(row.id)).map((f) => f.bytes)).toEqual([1000, 30, 7]);
    expect((await db.get(untouched.id))?.bytes).toBe(400);
    expect((await db.file(done!.id))?.state).toBe("done");
  });
});

describe("I2 durability", () => {
  test("facts are synced before they are acknowledged, watermarks, claims and leases are not", async () => {
    const db = await open();
    const row = await insert(db);
    const fileId = (await db.putFiles(row.id, [fileDraft(row.id, "x")]))[0]!.id;
    const sync = spyOn(systemCalls, "fdatasync");
    try {
      const facts: [string, () => Promise<unknown>][] = [
        ["insert", () => insert(db)],
        ["setIntent", () => db.setIntent(row.id, ["queued"], "pause")],
        ["update", () => db.update(row.id, {}, { state: "paused", intent: null })],
        ["saveSetting", () => db.saveSetting("a", 1)],
        ["saveDurable", () => db.saveDurable([{ fileId, receipts: [{ start: 0, length: 1 }] }])],
        ["dropReceipts", () => db.dropReceipts([fileId])],
        ["updateFile", () => db.updateFile(fileId, { bytes: 1 })],
      ];
      for (const [name, act] of facts) {
        sync.mockClear();
        await act();
        expect([name, sync.mock.calls.length]).toEqual([name, 1]);
      }
      sync.mockClear();
      await db.saveWritten([{ fileId, receipts: [{ start: 0, length: 1 }] }], []);
      await db.claim("me", 0, 1);
      await db.heartbeat("me", 2);
      await db.update(row.id, { states: ["completed"] }, { state: "queued" });
      expect(sync.mock.calls.length).toBe(0);
      await Promise.all(Array.from({ length: 50 }, () => insert(db)));
      expect(sync.mock.calls.length).toBeLessThan(5);
    } finally {
      sync.mockRestore();
    }
  });

  const failing = (_fd: number, done: NoParamCallback) =>
    queueMicrotask(() => done(Object.assign(new Error("EIO"), { code: "EIO" })));

  test("F85 a failed sync is reported, and nothing is acknowledged before a whole checkpoint has succeeded", async () => {
    const dataDir = tempDir();
    const db = await open({ dataDir });
    const sync = spyOn(systemCalls, "fdatasync").mockImplementationOnce(failing as typeof fdatasync);
    try {
      await expect(insert(db)).rejects.toMatchObject({ name: "DownloadError", code: "io" });
      sync.mockClear();
      await insert(db);
      expect(sync.mock.calls.length).toBe(0);
      const raw = new Sqlite(join(dataDir, "state.db"), { readonly: true });
      expect(raw.query("SELECT value FROM meta WHERE key = 'checkpoints'").values()).toEqual([["1"]]);
      raw.close();
      await insert(db);
      expect(sync.mock.calls.length).toBe(1);
    } finally {
      sync.mockRestore();
    }
  });

  test("a sync under way does not count for what was committed after it began", async () => {
    const started: PromiseWithResolvers<void>[] = [];
    const group = new GroupSync(
      () => {
        const running = Promise.withResolvers<void>();
        started.push(running);
        return running.promise;
      },
      () => Promise.reject(new Error("not needed")),
    );
    const order: string[] = [];
    const first = group.sync().then(() => order.push("first"));
    await Promise.resolve();
    await Promise.resolve();
    expect(started.length).toBe(1);
    const later = [group.sync(), group.sync()].map((s) => s.then(() => order.push("later")));
    started[0]!.resolve();
    await first;
    expect(order).toEqual(["first"]);
    while (started.length < 2) await Promise.resolve();
    started[1]!.resolve();
    await Promise.all(later);
    expect(order).toEqual(["first", "later", "later"]);
    expect(started.length).toBe(2);
  });

  test("a repair that fails keeps refusing; one that succeeds ends it", async () => {
    const answers = ["sync fails", "repair fails", "repair", "sync"];
    const seen: string[] = [];
    const act = (kind: string) => async () => {
      const answer = answers[seen.length]!;
      seen.push(kind);
      if (answer.endsWith("fails")) throw new Error(answer);
    };
    const group = new GroupSync(act("sync"), act("repair"));
    await expect(group.sync()).rejects.toMatchObject({ code: "io" });
    await expect(group.sync()).rejects.toMatchObject({ code: "io" });
    await group.sync();
    await group.sync();
    expect(seen).toEqual(["sync", "repair", "repair", "sync"]);
  });
});

describe("the world around", () => {
  test("F231 the log stays bounded while bytes move for long", async () => {
    const dataDir = tempDir();
    const db = await open({ dataDir });
    const row = await insert(db, { total: 1e12 });
    const files = await db.putFiles(
      row.id,
      Array.from({ length: 40 }, (_, i) => fileDraft(row.id, `f${i}`)),
    );
    let largest = 0;
    for (let step = 1; step <= 6000; step++) {
      const batch = files.map((f) => ({ fileId: f.id, receipts: [{ start: 0, length: step }] }));
      await db.saveWritten(batch, [{ id: row.id, bytes: step, averageBps: step }]);
      if (step % 100 !== 0) continue;
      largest = Math.max(largest, statSync(join(dataDir, "state.db-wal")).size);
      await Bun.sleep(0);
    }
    expect(largest).toBeLessThan(64 * 2 ** 20);
    const raw = new Sqlite(join(dataDir, "state.db"), { readonly: true });
    const [[checkpoints]] = raw.query("SELECT value FROM meta WHERE key = 'checkpoints'").values() as [
      [string],
    ];
    raw.close();
    expect(Number(checkpoints)).toBeGreaterThan(0);
  }, 60_000);

  test("F231 a reader that stays neither makes the log grow for ever nor holds up facts; once it has gone everything is recorded again", async () => {
    const dataDir = tempDir();
    const log = recordingLog();
    const db = await open({ dataDir, log });
    const row = await insert(db, { total: 1e12 });
    const files = await db.putFiles(
      row.id,
      Array.from({ length: 400 }, (_, i) => fileDraft(row.id, `f${i}`)),
    );
    const logBytes = () => statSync(join(dataDir, "state.db-wal")).size;
    const save = (step: number) => {
      const batch = files.map((f) => ({ fileId: f.id, receipts: [{ start: 0, length: step }] }));
      return db.saveWritten(batch, [{ id: row.id, bytes: step, averageBps: step }]);
    };
    const reader = new Sqlite(join(dataDir, "state.db"), { readonly: true });
    reader.run("BEGIN");
    reader.query("SELECT count(*) FROM files").get();
    let step = 1;
    for (; step <= 4000; step++) {
      await save(step);
      if (step % 100 === 0) await Bun.sleep(0);
    }
    expect(logBytes()).toBeLessThan(96 * 2 ** 20);
    expect(
      log.lines.filter(
        ({ level, message }) => level === "warn" && /another program has been reading/.test(message),
      ).length,
    ).toBe(1);
    // What has been promised is kept all the same.
    await db.saveDurable([{ fileId: files[0]!.id, receipts: [{ start: 0, length: step }] }]);
    expect(await db.receipts(files[0]!.id)).toEqual([{ start: 0, length: step }]);
    expect((await insert(db)).state).toBe("queued");
    reader.run("ROLLBACK");
    reader.close();
    const until = step + 20_000;
    while (logBytes() > 48 * 2 ** 20 && step < until) {
      await save(step++);
      if (step % 100 === 0) await Bun.sleep(1);
    }
    await save(step);
    expect(await db.receipts(files[1]!.id)).toEqual([{ start: 0, length: step }]);
  }, 120_000);

  test("F102 a shell that holds the lock is waited for without stopping the event loop", async () => {
    const dataDir = tempDir();
    const db = await open({ dataDir });
    const shell = new Sqlite(join(dataDir, "state.db"));
    shell.run("BEGIN IMMEDIATE");
    const waiting = insert(db);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 5);
    while (ticks < 10) await Bun.sleep(5);
    clearInterval(timer);
    expect(Bun.peek.status(waiting)).toBe("pending");
    expect(await db.counts()).toMatchObject({ queued: 0 });
    shell.run("ROLLBACK");
    shell.close();
    expect((await waiting).state).toBe("queued");
  });

  const unshare = Bun.spawnSync(["unshare", "-rm", "true"]).exitCode === 0;
  test.skipIf(!unshare)(
    "F80 on a volume that others have filled to the last byte, a cancel is recorded all the same",
    async () => {
      const dataDir = tempDir();
      const mount = `mount -t tmpfs -o size=6m tmpfs '${dataDir}' && exec "$@"`;
      const writer = child("reserve", dataDir, "unshare", "-rm", "sh", "-c", mount, "sh");
      const lines: (string | undefined)[] = [];
      for (let i = 0; i < 2; i++) lines.push(await writer.line());
      expect(lines).toEqual(["full 0", "recorded 100 cancelled"]);
      expect(await writer.exited).toBe(0);
    },
  );

  test.skipIf(!unshare)(
    "F80 a full volume refuses new work, is still read, and goes on once there is room",
    async () => {
      const dataDir = tempDir();
      const mount = `mount -t tmpfs -o size=6m tmpfs '${dataDir}' && exec "$@"`;
      const filler = child("fill", dataDir, "unshare", "-rm", "sh", "-c", mount, "sh");
      const lines: (string | undefined)[] = [];
      for (let i = 0; i < 3; i++) lines.push(await filler.line());
      expect(lines).toEqual(["refused no_space", "read queued 0", "continued queued 1"]);
      expect(await filler.exited).toBe(0);
    },
  );
});
