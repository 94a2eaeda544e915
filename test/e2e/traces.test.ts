import { afterEach, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gguf, LLAMA } from "../engines/support.ts";
import { attributesOf, processesOf } from "../rig/secrets/places.ts";
import { literal } from "../support/bytes.ts";
import { Daemon, startDaemon } from "../support/daemon.ts";
import { LlamaProgram } from "../support/llama-server.ts";
import { startOrigin } from "../support/origin.ts";
import { tempDir } from "../support/temp.ts";
import { filesBelow, partials } from "./support.ts";

const KEY = "planted-api-key-41f0";
const SIGNATURE = "planted-signature-8c2e";
const TOKEN = "planted-hub-token-93aa";
const inside = ["--allow-address", "127.0.0.0/8"];

const programs: LlamaProgram[] = [];
afterEach(() => {
  for (const pid of programs.splice(0).flatMap((program) => program.alive())) process.kill(pid, "SIGKILL");
});

test("F195 F196 no attribute of a file tells where it came from, no process shows a secret or leaves a dump", async () => {
  using dir = tempDir("traces");
  const program = new LlamaProgram(dir.path);
  programs.push(program);
  await using origin = await startOrigin({
    resources: [{ path: "/m.gguf", content: literal(gguf({ pairs: LLAMA })) }],
  });
  const keyFile = dir.at("key.txt");
  writeFileSync(keyFile, KEY, { mode: 0o600 });
  await using daemon = await startDaemon({
    dir: dir.path,
    args: [
      ...["--api-key-file", keyFile, ...inside],
      ...["--engine-runtime", "llama-server", "--llama-server", program.path],
    ],
    env: { HF_TOKEN: TOKEN },
    apiKey: KEY,
  });
  const url = `${origin.url("/m.gguf")}?X-Amz-Signature=${SIGNATURE}`;
  const { id } = await daemon.begin({ url, engine: { engine_id: "m", load_immediately: true } });
  const { local_path = "" } = await daemon.until(id, "completed");
  expect(statSync(local_path).size).toBeGreaterThan(0);
  // Where a file system keeps attributes at all, ours have none.
  for (const name of filesBelow(dir.path))
    expect([name, `${attributesOf(dir.at(name))}`]).toEqual([name, ""]);

  const shown = processesOf(dir.path, daemon.pid);
  expect(shown.some(({ name }) => name === `command line of process ${daemon.pid}`)).toBe(true);
  expect(shown.some(({ content }) => content.includes("--host"))).toBe(true);
  for (const { name, content } of shown)
    for (const secret of [KEY, SIGNATURE, TOKEN])
      expect([name, content.includes(secret)]).toEqual([name, false]);

  await daemon.kill();
  expect(readdirSync(dir.path).filter((name) => /core|dump|crash/i.test(name))).toEqual([]);
}, 60_000);

test.skipIf(process.platform !== "linux")(
  "F196 a crash leaves no dump of the memory, were dumps allowed where it was started",
  async () => {
    using dir = tempDir("dump");
    await using daemon = new Daemon({ dir: dir.path });
    await daemon.start(["sh", "-c", 'cd "$0" && ulimit -Sc "$(ulimit -Hc)" && exec "$@"', dir.path]);
    const limit = () =>
      /^Max core file size +(\S+)/m.exec(readFileSync(`/proc/${daemon.pid}/limits`, "utf8"))?.[1];
    expect(limit()).toBe("0");
    process.kill(daemon.pid, "SIGSEGV");
    await daemon.gone();
    expect(readdirSync(dir.path).filter((name) => /core|dump|crash/i.test(name))).toEqual([]);
  },
  60_000,
);

test("F119 F210 another user of the machine gets nothing: folder 0700, database, partial files and secrets 0600", async () => {
  using dir = tempDir("modes");
  await using origin = await startOrigin({ resources: [{ path: "/m.gguf", seed: 1, size: 4 << 20 }] });
  const stalled = origin.on({ ranged: true, covers: 2 << 20 }, { kind: "stall", at: 1 << 20 });
  await using daemon = await startDaemon({ dir: dir.path });
  const { id } = await daemon.begin({ url: `${origin.url("/m.gguf")}?token=${SIGNATURE}` });
  await daemon.until(id, (it) => it.progress.downloaded_bytes > 0);
  const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);
  const { dataDir, modelsDir } = daemon;
  expect(modeOf(dataDir)).toBe("700");
  const owned = filesBelow(dataDir).filter((name) => !name.startsWith("progress/"));
  expect(owned).toContain("secrets.json");
  expect(owned.filter((name) => /\.db(-wal|-shm)?$/.test(name)).length).toBeGreaterThanOrEqual(2);
  for (const name of owned) expect([name, modeOf(join(dataDir, name))]).toEqual([name, "600"]);
  const [partial = ""] = partials(modelsDir);
  expect(modeOf(join(modelsDir, partial))).toBe("600");
  stalled.release();
  stalled.remove();
  const { local_path = "" } = await daemon.until(id, "completed");
  expect(modeOf(local_path)).toBe((0o666 & ~process.umask()).toString(8));
}, 60_000);

/** An archive with one member, whose name leads out of the folder. */
function archive(name: string): Uint8Array<ArrayBuffer> {
  const head = Buffer.alloc(512);
  head.write(name, 0);
  head.write("0000644\0", 100);
  head.write("00000000004\0", 124);
  head.write("        0", 148);
  head.write("ustar\x0000", 257);
  const sum = head.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
  head.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return new Uint8Array(Buffer.concat([head, Buffer.from("evil".padEnd(512, "\0")), Buffer.alloc(1024)]));
}

test("F204 an archive stays the one file it is, whatever its members are called", async () => {
  using dir = tempDir("archive");
  const tar = archive("../../evil.txt");
  const files: Record<string, Uint8Array> = {
    "bundle.tar": tar,
    "bundle.tar.gz": Bun.gzipSync(tar),
    "bundle.tgz": Bun.gzipSync(tar),
  };
  await using origin = await startOrigin({
    resources: Object.entries(files).map(([name, bytes]) => ({
      path: `/${name}`,
      content: literal(bytes),
      headers: { "Content-Disposition": 'attachment; filename="../../evil.txt"' },
    })),
  });
  await using daemon = await startDaemon({ dir: dir.path });
  for (const [name, bytes] of Object.entries(files)) {
    const { id } = await daemon.begin({ url: origin.url(`/${name}`) });
    const { local_path = "" } = await daemon.until(id, "completed");
    expect(local_path).toBe(join(daemon.modelsDir, name));
    expect(readFileSync(local_path).equals(bytes)).toBe(true);
  }
  expect(filesBelow(daemon.modelsDir)).toEqual(Object.keys(files).sort());
  for (const place of ["evil.txt", "../evil.txt"]) expect(existsSync(dir.at(place))).toBe(false);
}, 60_000);
