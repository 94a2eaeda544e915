import { describe, expect, test } from "bun:test";
import { readLines } from "../../src/sources/ollama/lines.ts";
import { type OllamaFault, startOllamaDaemon } from "../support/ollama-daemon.ts";
import { run } from "./ollama-rig.ts";

const models = [{ name: "three", layers: [3000, 2000] }];

/** Text of a daemon, and what we make of it: protocols/ollama.md §2.2. */
const TEXTS: [string, string, string][] = [
  ["pull model manifest: file does not exist", "not_found", "final"],
  [
    'pull model manifest: 400: {"error":"The specified tag is not a valid quantization scheme."}',
    "rejected",
    "final",
  ],
  [
    "pull model manifest: 412: \n\nThe model you are attempting to pull requires a newer version of Ollama.\n\nPlease download the latest version",
    "rejected",
    "final",
  ],
  ["pull model manifest: 401: unauthorized", "auth_required", "final"],
  ["unauthorized: access denied", "auth_required", "final"],
  ["pull model manifest: 403: Forbidden", "forbidden", "final"],
  ["pull model manifest: 429: too many requests", "rate_limited", "retry"],
  ["pull model manifest: 503: upstream", "server_error", "retry"],
  ["max retries exceeded: EOF", "network", "retry"],
  ["unexpected EOF", "network", "retry"],
  ["dial tcp: lookup registry.ollama.ai: no such host", "network", "retry"],
  ["read tcp 10.0.0.2:40000->1.2.3.4:443: read: connection reset by peer", "network", "retry"],
  ["net/http: TLS handshake timeout", "network", "retry"],
  ["tls: failed to verify certificate: x509: certificate signed by unknown authority", "tls", "final"],
  ["write /root/.ollama/models/blobs/x: no space left on device", "no_space", "wait"],
  ["insecure protocol http", "rejected", "final"],
  ["this model requires MLX support, but the MLX runtime is not available", "rejected", "final"],
  ["a text of tomorrow", "rejected", "final"],
];

describe("errors of the daemon", () => {
  for (const at of ["start", 0, 2500] as const)
    test(`R182 a text is the failure's own words, with a verdict, wherever it comes (${at})`, async () => {
      await using daemon = await startOllamaDaemon({ models });
      for (const [text, code, verdict] of TEXTS) {
        daemon.blobs.clear();
        const rule = daemon.on({}, { kind: "error", at, text });
        const { error } = await run(daemon.url);
        rule.remove();
        expect([text, error.code, error.verdict]).toEqual([text, code, verdict]);
        expect(error.message).toContain(text.replace(/\s+/g, " ").trim().replace(/\.$/, ""));
        expect(error.message).toStartWith(`The Ollama server at ${daemon.url} could not pull 'three': `);
      }
    });

  test("R179 R182 a model that is not there is not found, and says where to look", async () => {
    await using daemon = await startOllamaDaemon({ models });
    const { error } = await run(daemon.url, { model: "nothing" });
    expect(error).toMatchObject({ code: "not_found", verdict: "final" });
    expect(error.message).toContain("file does not exist");
    expect(error.message).toContain("ollama.com/library");
  });

  test("F194 what a text quotes of signed links and logins is not shown, nor anything that breaks a line", async () => {
    await using daemon = await startOllamaDaemon({ models });
    const text =
      'Get "https://cdn.example/blob?X-Sig=canary1&b=c": EOF\n\u001b[31m\u202eat http://me:canary2@proxy:3128 or https://u:canary3@h/p#canary4';
    daemon.on({}, { kind: "error", at: 0, text }, { kind: "pieces", bytes: 3 });
    const { error } = await run(daemon.url);
    expect(error.message).not.toMatch(/canary|[\u0000-\u001f\u202e]/);
    expect(error.message).toContain('Get "https://cdn.example/blob": EOF');
    daemon.on({}, { kind: "error", at: "start", text: "x".repeat(50_000) });
    const long = (await run(daemon.url)).error.message as string;
    expect(long.length).toBeLessThan(1000);
  });

  test("what answers in the place of an Ollama is told from one", async () => {
    await using daemon = await startOllamaDaemon({ models });
    const html = "<html>no</html>";
    const cases: [OllamaFault, string, string][] = [
      [{ kind: "respond", status: 404, body: html }, "rejected", "final"],
      [{ kind: "respond", status: 405, body: html }, "rejected", "final"],
      [{ kind: "respond", status: 404, body: html.repeat(10_000) }, "rejected", "final"],
      [{ kind: "respond", status: 204, body: "" }, "rejected", "final"],
      [{ kind: "respond", status: 401, body: html }, "auth_required", "final"],
      [{ kind: "respond", status: 403, body: html }, "forbidden", "final"],
      [{ kind: "respond", status: 502, body: html }, "server_error", "retry"],
      [{ kind: "respond", status: 500, body: '{"error":""}' }, "server_error", "retry"],
      [{ kind: "respond", status: 400, body: '{"error":"invalid model name"}' }, "rejected", "final"],
      [{ kind: "respond", status: 200, body: html }, "protocol", "retry"],
      [{ kind: "respond", status: 200, body: "[1]\n" }, "protocol", "retry"],
      [{ kind: "respond", status: 200, body: "" }, "network", "retry"],
    ];
    for (const [fault, code, verdict] of cases) {
      const rule = daemon.on({}, fault);
      const { error } = await run(daemon.url);
      rule.remove();
      expect([JSON.stringify(fault), error.code, error.verdict]).toEqual([
        JSON.stringify(fault),
        code,
        verdict,
      ]);
      expect(error.message).toContain(new URL(daemon.url).host);
    }
    const headers = { "retry-after": "7" };
    daemon.on({}, { kind: "respond", status: 429, body: "", headers });
    expect((await run(daemon.url)).error).toMatchObject({ code: "rate_limited", retryAfterMs: 7000 });
  });

  test("R181 A25 a server that cannot be reached is final at first, and waited for once it was there", async () => {
    const daemon = await startOllamaDaemon({ models });
    await daemon.down();
    for (const url of [daemon.url, "http://no-such-host.invalid:11434"]) {
      const { error } = await run(url);
      expect(error).toMatchObject({ code: "connect", verdict: "final" });
      expect(error.message).toStartWith(`Cannot connect to Ollama server at ${url}: `);
      expect(error.message).toContain("--ollama-url");
      expect((await run(url, { again: true })).error).toMatchObject({ code: "connect", verdict: "retry" });
    }
  });

  test("R130 an end without success and a cut are no success", async () => {
    await using daemon = await startOllamaDaemon({ models });
    for (const kind of ["end", "cut"] as const)
      for (const at of [0, 2500, "verifying"] as const) {
        daemon.blobs.clear();
        const rule = daemon.on({}, { kind, at });
        expect((await run(daemon.url)).error).toMatchObject({ code: "network", verdict: "retry" });
        rule.remove();
      }
  });
});

describe("lines", () => {
  const read = async (chunks: readonly Uint8Array[]): Promise<object[]> => {
    const rest = [...chunks];
    const lines: object[] = [];
    for await (const line of readLines({ read: async () => rest.shift() ?? null }, "It")) lines.push(line);
    return lines;
  };

  test("R174 lines are the same wherever chunks begin and end, the last one with or without its end", async () => {
    const lines = [{ status: "pülling 🦙" }, { status: "x", total: 5 }, { error: "a\\nb" }];
    for (const text of [
      lines.map((it) => `${JSON.stringify(it)}\n`).join(""),
      lines.map((it) => JSON.stringify(it)).join("\r\n\n"),
    ]) {
      const bytes = new TextEncoder().encode(text);
      for (let size = 1; size <= bytes.length; size++) {
        const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
          bytes.slice(i * size, (i + 1) * size),
        );
        expect(await read(chunks)).toEqual(lines);
      }
    }
    expect(await read([])).toEqual([]);
  });

  test("F9 a line that does not end is refused before it fills the memory", async () => {
    const chunk = new TextEncoder().encode(`{"status":"${"x".repeat(64 * 1024)}`);
    let given = 0;
    const endless = {
      read: async () => {
        given++;
        return chunk;
      },
    };
    const lines = readLines(endless, "It");
    await expect(lines.next()).rejects.toMatchObject({ code: "protocol" });
    expect(given).toBeLessThan(20);
  });

  test("what is no JSON object is refused", async () => {
    for (const text of ["nope\n", "[]\n", "1\n", "null\n", '{"a":\n', "\u0000\n"])
      await expect(read([new TextEncoder().encode(text)])).rejects.toMatchObject({ code: "protocol" });
  });
});
