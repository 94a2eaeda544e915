import { describe, expect, test } from "bun:test";
import { DownloadError } from "../../src/core/errors.ts";
import type { StartRequest } from "../../src/core/ports.ts";
import { createOllama } from "../../src/sources/ollama.ts";
import { client, clock } from "../http/client.ts";
import { type OllamaModelSpec, startOllamaDaemon } from "../support/ollama-daemon.ts";
import { run } from "./ollama-rig.ts";

const MB = 1 << 20;
const models: OllamaModelSpec[] = [{ name: "three", layers: [3 * MB, MB, 1429] }];
const source = createOllama({ http: client(), clock, server: "http://127.0.0.1:11434" });
const ask = (model: string, more: Partial<StartRequest> = {}) => ({ provider: "ollama", model, ...more });

function refusal(request: StartRequest, of = source): DownloadError {
  try {
    of.parse(request);
  } catch (error) {
    if (error instanceof DownloadError) return error;
    throw error;
  }
  throw new Error(`accepted: ${JSON.stringify(request)}`);
}

describe("references", () => {
  test("F166 F167 where addresses inside are closed, the server is not sent to one as a registry either", () => {
    const closed = createOllama({
      http: client({ allowPrivate: false }),
      clock,
      server: "http://127.0.0.1:11434",
    });
    for (const host of [
      "10.0.0.1",
      "127.0.0.1:5000",
      "localhost:5000",
      "169.254.169.254",
      "metadata.google.internal",
    ]) {
      const { code, param } = refusal(ask(`${host}/me/model`), closed);
      expect([host, code, param]).toEqual([host, "forbidden_address", "model"]);
    }
    expect(refusal(ask("169.254.169.254/me/model")).code).toBe("forbidden_address");
    for (const model of ["hf.co/me/model", "me/model", "registry.ollama.ai/library/model"])
      expect(closed.parse(ask(model)).repo).toBe(model);
    expect(source.parse(ask("127.0.0.1:5000/me/model")).repo).toBe("127.0.0.1:5000/me/model");
  });

  test("F153 equal requests have equal keys and say so without asking anybody, others have others", () => {
    const key = (request: StartRequest) => source.parse(request).key;
    const one = key(ask("llama3.2"));
    for (const same of [
      "llama3.2:latest",
      "library/llama3.2",
      "LLAMA3.2",
      " llama3.2 ",
      "registry.ollama.ai/library/llama3.2:Latest",
    ])
      expect([same, key(ask(same))]).toEqual([same, one]);
    expect(key(ask("llama3.2", { provider: "Ollama" }))).toBe(one);
    for (const baseUrl of ["http://127.0.0.1:11434/", "http://localhost:11434", "http://[::1]:11434"])
      expect(key(ask("llama3.2", { baseUrl }))).toBe(one);
    const others = ["llama3.2:1b", "me/llama3.2", "hf.co/me/llama3.2", "llama3"].map((model) =>
      key(ask(model)),
    );
    others.push(key(ask("llama3.2", { baseUrl: "http://127.0.0.1:11435" })));
    expect(new Set([one, ...others]).size).toBe(6);
  });

  test("A24 the name stays as it was asked for, and the reference can be written on a command line", () => {
    expect(source.parse(ask("hf.co/me/Model-GGUF:Q4_K_M"))).toMatchObject({
      provider: "ollama",
      repo: "hf.co/me/Model-GGUF:Q4_K_M",
      url: "ollama:hf.co/me/Model-GGUF:Q4_K_M",
    });
    const ref = source.parse(ask("llama3.2"));
    expect(ref).toMatchObject({ repo: "llama3.2", url: "ollama:llama3.2:latest" });
    expect(ref.baseUrl).toBeUndefined();
    expect(source.defaultModelId(ref)).toBe("llama3.2");
    expect(source.accepts({ provider: "ollama-registry", model: "x" })).toBe(false);
    expect(source.accepts({ url: "http://127.0.0.1:11434" })).toBe(false);
  });

  test("F136 names that are none, and fields that mean nothing here, are refused with their field", () => {
    const bad = [
      "",
      " ",
      "a b",
      "a/b/c/d",
      "../x",
      "a:",
      ":b",
      "-a",
      "a/.b/c",
      "a@sha256:b",
      "http://host/a/b",
      `${"x".repeat(81)}`,
      "a\nb",
      "https://ollama.com/library/x",
    ];
    for (const model of bad)
      expect([model, refusal(ask(model)).code, refusal(ask(model)).param]).toEqual([
        model,
        "invalid_request",
        "model",
      ]);
    const foreign: [Partial<StartRequest>, string][] = [
      [{ url: "https://example.com/x" }, "url"],
      [{ repoId: "a/b" }, "repo_id"],
      [{ filename: "x.gguf" }, "filename"],
      [{ include: ["*"] }, "include"],
      [{ exclude: ["*"] }, "exclude"],
      [{ revision: "main" }, "revision"],
      [{ sha256: "0".repeat(64) }, "sha256"],
      [{ token: "a\r\nb" }, "token"],
    ];
    for (const [fields, param] of foreign) expect(refusal(ask("x", fields)).param).toBe(param);
  });

  test("R174 A26 base_url is an address that a client gives: checked as such, unless it is the operator's own", () => {
    for (const baseUrl of [
      "not a url",
      "file:///x",
      "http://u:p@127.0.0.1:1",
      "",
      "box:port",
      "box:99999",
      "box:0",
      "mailto:box",
      "http://127.0.0.1:11434/?a=b",
      "box:11434?a=b",
      "http://127.0.0.1:11434/#x",
    ]) {
      const { code, param } = refusal(ask("x", { baseUrl }));
      expect([baseUrl, code, param]).toEqual([baseUrl, "invalid_url", "base_url"]);
    }
    const http = client({ allowPrivate: false });
    const closed = createOllama({ http, clock, server: "http://10.1.2.3:11434/" });
    expect(closed.parse(ask("x", { baseUrl: "http://10.1.2.3:11434" })).baseUrl).toBeUndefined();
    for (const baseUrl of [
      "http://10.1.2.3:11435",
      "http://127.0.0.1:11434",
      "http://169.254.169.254",
      "http://10.1.2.3:11434/x",
    ]) {
      const { code, param } = refusal(ask("x", { baseUrl }), closed);
      expect([baseUrl, code, param]).toEqual([baseUrl, "forbidden_address", "base_url"]);
    }
    expect(source.parse(ask("x", { baseUrl: "http://127.0.0.1:1234/a/" })).baseUrl).toBe(
      "http://127.0.0.1:1234/a",
    );
    expect(refusal(ask("x", { baseUrl: "http://169.254.169.254" })).code).toBe("forbidden_address");
  });

  test("R174 R186 base_url may be written as OLLAMA_HOST is", () => {
    const forms: [string, string | undefined][] = [
      ["box", "http://box:11434"],
      ["box:99", "http://box:99"],
      ["192.0.2.1:11434/ollama/", "http://192.0.2.1:11434/ollama"],
      ["[2001:db8::1]", "http://[2001:db8::1]:11434"],
      [":99", "http://127.0.0.1:99"],
      ["http://box", "http://box"],
      ["127.0.0.1:11434", undefined],
      ["localhost", undefined],
      ["0.0.0.0", undefined],
    ];
    for (const [text, expected] of forms)
      expect([text, source.parse(ask("x", { baseUrl: text })).baseUrl]).toEqual([text, expected]);
    const closed = createOllama({ http: client({ allowPrivate: false }), clock, server: "http://h:11434" });
    const { code, param } = refusal(ask("x", { baseUrl: "10.1.2.3:11434" }), closed);
    expect([code, param]).toEqual(["forbidden_address", "base_url"]);
  });

  test("F194 a token is no part of the reference", () => {
    const request = ask("x", { token: "canary-token", headers: { "X-Key": "canary-key" } });
    expect(JSON.stringify(source.parse(request))).not.toContain("canary");
    expect(source.secretOf?.(request)).toEqual({ token: "canary-token", headers: { "X-Key": "canary-key" } });
  });
});

describe("a pull", () => {
  test("R165 R174 R175 tells manifest, layers and check in order, each waited for, and ends with success", async () => {
    await using daemon = await startOllamaDaemon({ models, rate: 200 * MB });
    const { told, error, overlaps } = await run(daemon.url, { delayMs: 2 });
    expect(error).toBeUndefined();
    expect(overlaps).toBe(0);
    const statuses = told.flatMap((it) => ("status" in it ? [[it.status, it.phase]] : []));
    const [first] = daemon.layers("three");
    expect(statuses[0]).toEqual(["pulling manifest", "downloading"]);
    expect(statuses[1]).toEqual([`pulling ${first!.digest.slice(7, 19)}`, "downloading"]);
    expect(statuses.slice(-3)).toEqual([
      ["verifying sha256 digest", "verifying"],
      ["writing manifest", "verifying"],
      ["success", undefined],
    ]);
    const layers = told.flatMap((it) => ("digest" in it ? [it] : []));
    // `completed` is left out while it is zero.
    expect(layers[0]).toEqual({ ...first!, completed: 0 });
    expect([...new Set(layers.map(({ digest }) => digest))]).toEqual(
      daemon.layers("three").map(({ digest }) => digest),
    );
    expect(daemon.pulls[0]).toMatchObject({
      body: { model: "three", name: "three", stream: true },
      headers: { "content-type": "application/json" },
    });
    // Of the server only this is needed (A25).
    expect(daemon.requests).toEqual(["POST /api/pull"]);
  });

  test("R174 a request's own server is asked, with the token for that server only", async () => {
    await using own = await startOllamaDaemon({ models });
    await using other = await startOllamaDaemon({ models });
    const { error } = await run(own.url, { baseUrl: other.url, token: "canary" });
    expect(error).toBeUndefined();
    expect(own.requests).toEqual([]);
    expect(other.pulls[0]!.headers.authorization).toBe("Bearer canary");
  });

  test("A26 the operator's own server may be private, what it redirects to may not", async () => {
    await using daemon = await startOllamaDaemon({ models });
    await using other = await startOllamaDaemon({ models });
    const http = client({ allowPrivate: false });
    expect((await run(daemon.url, { http })).error).toBeUndefined();
    const headers = { location: `${other.url}/api/pull` };
    daemon.on({}, { kind: "respond", status: 307, body: "", headers });
    expect((await run(daemon.url, { http })).error).toMatchObject({
      code: "forbidden_address",
      verdict: "final",
    });
    expect(other.requests).toEqual([]);
  });

  test("A6 an aborted signal closes the connection, wherever the pull is, and is the rejection", async () => {
    await using daemon = await startOllamaDaemon({ models, rate: 200 * MB });
    for (const at of ["start", 0, MB, "verifying"] as const) {
      const rule = daemon.on({}, { kind: "hang", at });
      const stop = new AbortController();
      const reason = new Error("enough");
      const before = daemon.pulls.length;
      const running = run(daemon.url, { signal: stop.signal });
      await daemon.waitFor(({ pulls }) => pulls.length > before, "the pull");
      const words = { start: "", 0: "manifest", [MB]: `"completed":${MB}`, verifying: "verifying" }[at];
      if (at !== "start")
        await daemon.waitFor(({ pulls }) => pulls.at(-1)?.lines.at(-1)?.includes(words!) === true, `${at}`);
      stop.abort(reason);
      expect((await running).error).toBe(reason);
      await daemon.waitFor(({ active }) => active.length === 0, "the daemon to notice");
      expect(daemon.pulls.at(-1)!.outcome).toBe("gone");
      rule.remove();
      daemon.blobs.clear();
    }
    const signal = AbortSignal.abort(new Error("before"));
    expect((await run(daemon.url, { signal })).error).toBe(signal.reason);
  });

  test("F56 silence while it fetches is a timeout to try again, silence while it checks is not", async () => {
    await using daemon = await startOllamaDaemon({ models, rate: 200 * MB });
    const limits = { silenceMs: 700, checkMs: 20_000 };
    const hang = daemon.on({}, { kind: "hang", at: MB });
    const { error } = await run(daemon.url, { limits });
    expect(error).toMatchObject({ code: "timeout", verdict: "retry" });
    expect(error.message).toContain(`${daemon.url} said nothing`);
    await daemon.waitFor(({ active }) => active.length === 0, "the connection to be closed");
    hang.remove();
    const check = daemon.on({}, { kind: "hang", at: "verifying" });
    const checking = run(daemon.url, { limits });
    await daemon.waitFor(
      ({ pulls }) => pulls.at(-1)?.lines.at(-1)?.includes("verifying") === true,
      "the check",
    );
    await Bun.sleep(2 * limits.silenceMs);
    check.release();
    expect((await checking).error).toBeUndefined();
    check.remove();
    daemon.on({}, { kind: "hang", at: "verifying" });
    expect((await run(daemon.url, { limits: { ...limits, checkMs: 100 } })).error).toMatchObject({
      code: "timeout",
    });
  });

  test("F58 a server that accepts and never answers is a timeout to try again", async () => {
    await using daemon = await startOllamaDaemon({ models });
    daemon.on({}, { kind: "hang", at: "start" });
    const { error } = await run(daemon.url, { limits: { answerMs: 150 } });
    expect(error).toMatchObject({ code: "timeout", verdict: "retry" });
  });

  test("a layer that gets no byte for long although it is told of is asked for again", async () => {
    await using daemon = await startOllamaDaemon({ models });
    const line = `${JSON.stringify({ status: "pulling x", digest: "sha256:x", total: 100, completed: 50 })}\n`;
    daemon.on({}, { kind: "lines", lines: Array(30).fill(line), ending: "hang" });
    let now = 0;
    const fast = { ...clock, monotonic: () => (now += 60_000) };
    const { error, told } = await run(daemon.url, { clock: fast });
    expect(error).toMatchObject({ code: "timeout", verdict: "retry" });
    expect(error.message).toContain("got no byte for 600 s");
    expect(told.length).toBeLessThan(40);
  });

  test("R175 the series of a model of many tensors, and a prune that fails, are success", async () => {
    await using daemon = await startOllamaDaemon({ models });
    const lines = [
      { status: "pulling manifest" },
      { status: "pulling model", digest: "sha256:model", total: 100 },
      { status: "pulling model", digest: "sha256:model", total: 100, completed: 100 },
      { status: "writing manifest" },
      { status: "couldn't remove unused layers: permission denied" },
      { status: "success" },
    ];
    daemon.on({}, { kind: "lines", lines: [lines.map((it) => JSON.stringify(it)).join("\n")] });
    const { error, told } = await run(daemon.url);
    expect(error).toBeUndefined();
    expect(told).toContainEqual({ digest: "sha256:model", size: 100, completed: 100 });
    expect(told).toContainEqual({
      status: "couldn't remove unused layers: permission denied",
      phase: undefined,
    });
  });

  test("F75 a damaged layer is asked for once more, a second one is final", async () => {
    await using daemon = await startOllamaDaemon({ models, rate: 200 * MB });
    const text = "digest mismatch, file must be downloaded again: want sha256:aa, got sha256:bb";
    daemon.on({ nth: 1 }, { kind: "error", at: "verifying", text });
    const mended = await run(daemon.url);
    expect(mended.error).toBeUndefined();
    expect(mended.told.some((it) => "warning" in it && it.warning.includes("digest mismatch"))).toBe(true);
    daemon.on({}, { kind: "error", at: "verifying", text });
    const { error } = await run(daemon.url);
    expect(error).toMatchObject({ code: "checksum", verdict: "final" });
    expect(daemon.pulls).toHaveLength(4);
  });
});
