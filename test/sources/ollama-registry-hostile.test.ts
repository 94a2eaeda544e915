/** Registries that mean to hold us up. Any address may be one: `base_url` comes with the request. */
import { expect, test } from "bun:test";
import { type AddressInfo, createServer } from "node:net";
import { createOllamaRegistry } from "../../src/sources/ollama-registry.ts";
import { client } from "../http/client.ts";
import { TestClock } from "../support/clock.ts";
import { context, failure } from "./support.ts";

test("F56 a registry that falls silent in the middle of a manifest is a timeout", async () => {
  const asked = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{", () => asked.resolve());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const registry = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const clock = new TestClock();
  const http = client();
  const source = createOllamaRegistry({ http, clock, registry });
  const ref = source.parse({ provider: "ollama-registry", model: "m" });
  const failed = failure(source.resolve(ref, context()));
  await asked.promise;
  while (clock.pending.length === 0) await Bun.sleep(1);
  await clock.advance(60_000);
  const { code, message } = await failed;
  expect([code, message]).toEqual(["timeout", expect.stringContaining(new URL(registry).host)]);
  http.close();
  server.close();
});

test.each(["a".repeat(60_000), `realm${" ".repeat(60_000)}x`, "a_".repeat(30_000)])(
  "F67 a challenge of one endless word holds nobody up",
  async (words) => {
    const script = `
      import { parseChallenge } from "../../src/sources/ollama-registry/challenge.ts";
      const text = await Bun.stdin.text();
      console.log(parseChallenge(text, new URL("https://registry.test")) === undefined);`;
    // In a process of its own: where this fails, nothing else would get a turn any more.
    const child = Bun.spawn([process.execPath, "-e", script], {
      cwd: import.meta.dir,
      stdin: new Blob([`Bearer ${words}`]),
      stdout: "pipe",
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
    expect(await new Response(child.stdout).text()).toBe("true\n");
    clearTimeout(timer);
  },
);
