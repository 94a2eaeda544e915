/** A process that writes to a database and says what has been acknowledged, until it is killed. */
import { Database as Sqlite } from "bun:sqlite";
import { openSync, writeSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import type { Database } from "../../src/core/database.ts";
import { toDownloadError } from "../../src/core/errors.ts";
import { openDatabase } from "../../src/db/index.ts";
import { fileDraft, insert, recordingLog } from "./rows.ts";

const [mode, dataDir] = process.argv.slice(2) as [string, string];
/** One write to the pipe: what has been said cannot be lost with the process. */
const say = (...words: (string | number)[]) => writeSync(1, `${words.join(" ")}\n`);
const openHere = () => openDatabase({ dataDir, clock: systemClock, log: recordingLog() });

/** Every kind of acknowledged fact, in turn, as fast as it goes. */
async function write(db: Database): Promise<void> {
  for (let round = 0; ; round++) {
    const row = await insert(db, {
      total: 1e12,
      source: { provider: "url", key: crypto.randomUUID(), url: "u" },
      modelId: crypto.randomUUID(),
    });
    say("row", row.id, row.seq);
    const [file] = await db.putFiles(row.id, [fileDraft(row.id, "weights.gguf")]);
    say("file", file!.id);
    for (let step = 1; step <= 8; step++) {
      const receipts = [{ start: 0, length: step * 1000 + round }];
      await db.saveWritten(
        [{ fileId: file!.id, receipts }],
        [{ id: row.id, bytes: step * 1000 + round, averageBps: 1 }],
      );
      say("written", file!.id, step * 1000 + round, row.id);
      if (step % 4 === 0) {
        await db.saveDurable([{ fileId: file!.id, receipts }]);
        say("durable", file!.id, step * 1000 + round);
      }
      say("seq", db.nextSeq());
    }
    if (round % 3 === 0) {
      await db.setIntent(row.id, ["queued"], "pause");
      say("intent", row.id);
    } else if (round % 3 === 1) {
      const ended = await db.update(row.id, {}, { state: "cancelled" });
      say("state", row.id, ended!.state);
      await db.remove(row.id);
      say("gone", row.id);
    }
  }
}

/** Fills the volume, then gives it the room that a ballast file had taken. */
async function fillUp(): Promise<void> {
  const ballast = Bun.file(join(dataDir, "ballast"));
  await ballast.write(new Uint8Array(1 << 20));
  const db = await openHere();
  const kept = await insert(db);
  try {
    for (;;) await insert(db, { warnings: ["x".repeat(50_000)] });
  } catch (error) {
    say("refused", toDownloadError(error).code);
  }
  const { queued } = await db.counts();
  say(
    "read",
    (await db.get(kept.id))?.state ?? "lost",
    (await db.list({}, { limit: 1000 })).items.length - queued,
  );
  await ballast.delete();
  say("continued", (await insert(db)).state, (await db.counts()).queued - queued);
  await db.close();
}

/** Others fill the volume to the last byte; then facts are recorded. */
async function useReserve(): Promise<void> {
  const db = await openHere();
  const row = await insert(db);
  const fd = openSync(join(dataDir, "ballast"), "w");
  for (const step of [65_536, 4096]) {
    try {
      while (writeSync(fd, new Uint8Array(step)) === step) {}
    } catch {
      // Not one such piece more.
    }
  }
  say("full", (await statfs(dataDir)).bavail);
  for (let priority = 1; priority <= 100; priority++) await db.update(row.id, {}, { priority });
  await db.update(row.id, {}, { state: "cancelled" });
  const seen = await db.get(row.id);
  say("recorded", seen?.priority ?? 0, seen?.state ?? "lost");
  await db.close();
}

if (mode === "hold") {
  try {
    const db = await openHere();
    say("open");
    // The lock lives as long as the database is referred to.
    setInterval(() => db.nextSeq(), 1000);
  } catch (error) {
    say("error", toDownloadError(error).code);
  }
} else if (mode === "newer") {
  const db = await openHere();
  await insert(db);
  const raw = new Sqlite(join(dataDir, "state.db"));
  raw.run("PRAGMA user_version = 1000");
  say("written");
  setInterval(() => undefined, 1000);
} else if (mode === "write") {
  await write(await openHere());
} else if (mode === "fill") {
  await Bun.write(join(dataDir, "ballast"), new Uint8Array(2 << 20));
  await fillUp();
} else if (mode === "reserve") {
  await useReserve();
}
