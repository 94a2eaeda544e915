import { Database as Sqlite } from "bun:sqlite";
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sha256Of } from "../support/bytes.ts";
import { startDaemon } from "../support/daemon.ts";
import { startOrigin } from "../support/origin.ts";
import { tempDir } from "../support/temp.ts";

const MIB = 1 << 20;
const SIZE = 8 * MIB;

test("F102 a shell that holds the database: writes are 503 with Retry-After after a while, reads go on, and so does what is under way", async () => {
  await using origin = await startOrigin({
    resources: [{ path: "/m.bin", seed: 8, size: SIZE }],
    ratePerConnection: MIB,
    rateTotal: MIB,
  });
  using dir = tempDir("locked");
  await using daemon = await startDaemon({ dir: dir.path });
  const { id } = await daemon.begin({ url: origin.url("/m.bin"), sha256: sha256Of(8, SIZE) });
  await daemon.until(id, (it) => it.progress.downloaded_bytes > 0);
  const start = { url: "http://127.0.0.1:9/other.bin" };
  const shell = new Sqlite(join(daemon.dataDir, "state.db"));
  try {
    shell.run("BEGIN IMMEDIATE");
    const sent = origin.sent("/m.bin");
    const waiting = [
      daemon.api("POST", "/v1/downloads", start),
      daemon.api("POST", "/local/download", { repo_id: "acme/tiny", filename: "m.gguf" }),
      daemon.api("PATCH", "/v1/settings", { max_concurrent: 7 }),
    ];
    expect((await daemon.must("GET", "/v1/downloads")).total_active).toBe(1);
    for (const answer of await Promise.all(waiting)) {
      expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "1"]);
      expect(JSON.stringify(answer.body)).toContain("is held by another program");
    }
    expect(origin.sent("/m.bin")).toBeGreaterThan(sent);
    shell.run("ROLLBACK");
  } finally {
    shell.close();
  }
  expect((await daemon.api("POST", "/v1/downloads", start)).status).toBe(202);
  origin.limits.ratePerConnection = 100 * MIB;
  origin.limits.rateTotal = 100 * MIB;
  const done = await daemon.until(id, "completed");
  const bytes = readFileSync(done.local_path as string);
  expect(new Bun.CryptoHasher("sha256").update(bytes).digest("hex")).toBe(sha256Of(8, SIZE));
}, 60_000);
