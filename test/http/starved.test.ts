import { expect, test } from "bun:test";
import { join } from "node:path";
import { withDescriptors } from "../rig/starved.ts";
import { startOrigin } from "../support/origin.ts";

const CHILD = join(import.meta.dir, "starved-child.ts");
const SIZE = 100_000;

test.each([
  ["http", undefined],
  ["https", "valid"],
] as const)(
  "F113 no descriptor left at the first %s request of a process: it is told and waited for, and the next one is answered",
  async (_, tls) => {
    const resources = [{ path: "/file", seed: 1, size: SIZE }];
    await using origin = await startOrigin({ resources, ...(tls && { tls }) });
    const url = tls ? `https://127.0.0.1:${origin.port}/file` : origin.url("/file");
    const child = Bun.spawn(
      [...withDescriptors(96), process.execPath, CHILD, url, ...(origin.caFile ? [origin.caFile] : [])],
      { stdout: "pipe", stderr: "pipe" },
    );
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    expect([code, err]).toEqual([0, ""]);
    const seen = JSON.parse(out);
    expect([seen.code, seen.length]).toEqual(["io", SIZE]);
    expect(seen.message).toContain("this process has too many open files");
  },
);
