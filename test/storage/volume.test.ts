import { expect, test } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Place } from "./support.ts";

const CHILD = join(import.meta.dir, "volume-child.ts");
const run = (command: string[]) => Bun.spawnSync(command, { stderr: "pipe" });
const mountable = run(["unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"]).success;
if (!mountable)
  console.warn("SKIPPED: faults of volumes; needs the right to mount in a namespace (unshare -m)");
const traceable = Bun.which("strace") !== null && run(["strace", "-o", "/dev/null", "true"]).success;
if (!traceable) console.warn("SKIPPED F98: the order of system calls; needs strace");

/** Runs a scenario of the child inside a mount namespace with a volume of 1 MiB. */
function onVolume(scenario: string): unknown {
  using place = new Place();
  const volume = join(place.dir, "volume");
  mkdirSync(volume);
  const script = `mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" "$3" "$4" "$1"`;
  const child = run(["unshare", "-m", "sh", "-c", script, "sh", volume, process.execPath, CHILD, scenario]);
  if (!child.success) throw new Error(`${scenario}: ${child.stderr}`);
  return JSON.parse(child.stdout.toString());
}

test.skipIf(!mountable)(
  "F79 a full volume is said at once, and the write succeeds when there is room again",
  () => {
    expect(onVolume("full")).toEqual({
      error: { code: "no_space", verdict: "wait" },
      right: [800_000, 2, 3, 4],
    });
  },
);

test.skipIf(!mountable)("F84 a volume that turns read-only is waited for", () => {
  const readOnly = { code: "read_only", verdict: "wait" };
  expect(onVolume("readonly")).toEqual({ open: readOnly, other: readOnly });
});

test.skipIf(!mountable)("F94 a volume that disappears is waited for, nothing is written where it was", () => {
  const gone = { code: "volume_gone", verdict: "wait" };
  expect(onVolume("gone")).toEqual({ errors: [gone, gone, gone, gone], left: [] });
});

test.skipIf(!mountable)(
  "F94 one that disappears this very moment takes no file along, and none is begun in its place",
  () => {
    const gone = { code: "volume_gone", verdict: "wait" };
    expect(onVolume("vanished")).toEqual({ errors: [gone, gone], left: [] });
  },
);

test("F81 F82 a size limit cuts the write: what went in is right, the rest is told", () => {
  using place = new Place();
  // Blocks of 512 bytes in sh, of 1024 in bash: either way a limit inside the second chunk.
  const script = `trap '' XFSZ; ulimit -f 300 && exec "$1" "$2" limited "$3"`;
  const child = run(["sh", "-c", script, "sh", process.execPath, CHILD, place.dir]);
  if (!child.success) throw new Error(child.stderr.toString());
  const { error, length, intact } = JSON.parse(child.stdout.toString());
  expect(error).toEqual({ code: "file_too_big", verdict: "final" });
  expect([153_600, 307_200]).toContain(length);
  expect(intact).toBe(true);
});

test.skipIf(!traceable)("F98 F100 data is synced before the file gets its name, the directory after", () => {
  using place = new Place();
  const trace = join(place.dir, "trace");
  const calls = "trace=fdatasync,fsync,link,linkat,rename,renameat,renameat2,unlink,unlinkat";
  const child = run([
    "strace",
    "-f",
    "-y",
    "-e",
    calls,
    "-o",
    trace,
    process.execPath,
    CHILD,
    "one",
    place.dir,
  ]);
  if (!child.success) throw new Error(child.stderr.toString());
  expect(JSON.parse(child.stdout.toString())).toEqual(["m.gguf"]);
  const folder = join(place.dir, "models/acme/tiny");
  const steps = readFileSync(trace, "utf8")
    .split("\n")
    .filter((line) => line.includes(folder) && !line.includes("ENOENT"));
  const at = (what: RegExp) => steps.findIndex((line) => what.test(line));
  const data = at(/fdatasync\(.*m\.gguf\.[0-9a-f]{8}\.part/);
  const name = at(/(?:link|linkat|rename)\(.*\.part.*m\.gguf"/);
  const directory = steps.findLastIndex((line) => /fsync\(/.test(line) && line.includes(`<${folder}>`));
  expect(data).toBeGreaterThanOrEqual(0);
  expect(name).toBeGreaterThan(data);
  expect(directory).toBeGreaterThan(name);
});
