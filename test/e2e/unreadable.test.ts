import { expect, test } from "bun:test";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Daemon } from "../support/daemon.ts";
import { startOrigin } from "../support/origin.ts";
import { tempDir } from "../support/temp.ts";
import { partials } from "./support.ts";

const SIZE = 24 << 20;

/** A tracer under which this file cannot be read: the disk says EIO, each time. */
function badDisk(path: string): string[] {
  return [
    ...["strace", "--seccomp-bpf", "-f", "-qqq", "-o", "/dev/null", "-e", "signal=none", "-P", path],
    ...["-e", "trace=pread64", "-e", "inject=pread64:error=EIO"],
  ];
}

const tracing = Bun.which("strace") !== null && Bun.spawnSync([...badDisk("/none"), "true"]).exitCode === 0;
if (!tracing) console.warn("SKIPPED: a disk that cannot be read; it needs strace and the right to trace");

/** Started under a tracer, it is the tracer's child that has to end. */
async function end(daemon: Daemon): Promise<void> {
  const note = JSON.parse(readFileSync(join(daemon.dataDir, "server.json"), "utf8")) as { pid: number };
  process.kill(note.pid, "SIGTERM");
  await daemon.gone();
}

test.skipIf(!tracing)(
  "F86 what the disk cannot read back fails with its name and what to do, is kept, and a retry on a mended disk goes on from it",
  async () => {
    await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 3, size: SIZE }] });
    using dir = tempDir("unreadable");
    await using daemon = new Daemon({ dir: dir.path });
    const target = join(daemon.modelsDir, "m.bin");
    // Half of it on a disk that is well: then the name of its partial file is known.
    origin.limits.ratePerConnection = 2 << 20;
    await daemon.start();
    const request = { url: origin.url("/m.bin"), sha256: origin.sha256("/m.bin") };
    const { id } = await daemon.begin(request);
    await daemon.until(id, ({ progress }) => progress.downloaded_bytes > 0);
    await daemon.stop();
    const partial = join(daemon.modelsDir, partials(daemon.modelsDir)[0] ?? "");
    origin.limits.ratePerConnection = 1 << 30;
    await daemon.start(badDisk(partial));
    const failed = await daemon.until(
      id,
      ({ state, waiting }) => state === "failed" || waiting?.reason === "disk",
    );
    expect(failed).toMatchObject({ state: "failed", error_code: "io" });
    expect(failed.error_message).toMatch(/m\.bin\.\w+\.part cannot be read.*Check the disk/);
    expect(existsSync(target)).toBe(false);
    expect(statSync(partial).size).toBeGreaterThan(0);
    await end(daemon);

    await daemon.start();
    expect((await daemon.one(id)).state).toBe("failed");
    const before = origin.sent("/m.bin");
    await daemon.must("POST", `/v1/downloads/${id}/retry`);
    const done = await daemon.until(id, "completed");
    expect(done.local_path).toBe(target);
    expect(new Bun.CryptoHasher("sha256").update(readFileSync(target)).digest("hex")).toBe(request.sha256);
    // Whatever was still on its way when the digest gave up.
    expect(origin.sent("/m.bin") - before).toBeLessThan(SIZE);
    await daemon.stop();
  },
  60_000,
);
