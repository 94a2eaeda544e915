import { expect, test } from "bun:test";
import { join } from "node:path";
import { Lines } from "./until.ts";

const CLI = join(import.meta.dir, "hub-cli.ts");

function start(...args: string[]) {
  return Bun.spawn([process.execPath, CLI, ...args], { stdout: "pipe", stderr: "pipe", stdin: "ignore" });
}

test.each(["SIGINT", "SIGTERM"] as const)("serves until %s and then ends with 0", async (signal) => {
  const child = start("--port", "0", "--cdn-port", "0", "--size", "1MB", "--json");
  const { endpoint, cdn, token, repos } = JSON.parse(await new Lines(child.stdout).waitFor(/^\{/));
  expect(repos).toHaveLength(5);
  expect(new URL(cdn).hostname).not.toBe(new URL(endpoint).hostname);
  const big = await fetch(`${endpoint}/acme/big-gguf/resolve/main/big-Q4_K_M.gguf`);
  expect([big.status, (await big.bytes()).length]).toEqual([200, 1 << 20]);
  const gated = `${endpoint}/acme/gated-gguf/resolve/main/gated-Q4_K_M.gguf`;
  expect((await fetch(gated)).status).toBe(401);
  expect((await fetch(gated, { headers: { Authorization: `Bearer ${token}` } })).status).toBe(200);
  child.kill(signal);
  expect(await child.exited).toBe(0);
});

test("prints every repository with a command to paste", async () => {
  const child = start("--port", "0", "--cdn-port", "0");
  const lines = new Lines(child.stdout);
  await lines.waitFor(/Ctrl-C/);
  child.kill();
  await child.exited;
  const text = lines.all.join("\n");
  expect(text.match(/curl -X POST http:\/\/127\.0\.0\.1:8080\/v1\/downloads/g)).toHaveLength(5);
  expect(text).toContain(`-d '{"repo_id":"acme/tiny-gguf","filename":"tiny-Q4_K_M.gguf"}'`);
  expect(text).toMatch(/HF_ENDPOINT=http:\/\/127\.0\.0\.1:\d+ bun run start/);
});

test("a taken port and an unusable size end with one line that says what to do", async () => {
  const other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const taken = start("--port", String(other.port), "--cdn-port", "0");
  expect(await taken.exited).toBe(1);
  expect(await new Response(taken.stderr).text()).toMatch(/^hub: .*--port.*\n$/);
  const odd = start("--rate", "fast");
  expect([await odd.exited, await new Response(odd.stderr).text()]).toEqual([
    1,
    "hub: --rate fast: give a size such as 256MB\n",
  ]);
  await other.stop(true);
});
