import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { verificationStream } from "../../src/api/verification.ts";
import { ggufRepo, type Hub, startHub } from "../support/hub.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { type Body, type Served, serve } from "./support.ts";

setDefaultTimeout(30_000);

let hub: Hub;
let origin: Origin;
let served: Served;
beforeAll(async () => {
  hub = await startHub({ repos: [ggufRepo("acme/tiny-gguf")] });
  origin = await startOrigin({ resources: [{ path: "/big.bin", seed: 3, size: 24 << 20 }] });
  served = await serve({ product: { hfEndpoint: hub.endpoint } });
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  await origin.stop();
  await hub.stop();
});

describe("POST /v1/references", () => {
  const read = async (...references: string[]): Promise<Body[]> =>
    (await served.call("POST", "/v1/references", { references })).body.readings;

  test("reads what people paste as the command line does, and asks no hub", async () => {
    const asked = hub.origin.log.length;
    const [page, file, reference, patterns, ollama, registry, url] = await read(
      `${hub.endpoint}/acme/tiny-gguf`,
      "https://huggingface.co/acme/tiny-gguf/blob/main/tiny-Q4_K_M.gguf",
      " hf:acme/tiny-gguf@v1 ",
      "acme/tiny-gguf/*.gguf",
      "ollama:llama3.2:1b",
      "ollama-registry:llama3.2",
      `${origin.url("/big.bin")}?signature=secret`,
    );
    const repository = { provider: "huggingface", repo_id: "acme/tiny-gguf", lists: true };
    expect(page).toEqual({ ...repository, model_id: "acme/tiny-gguf", revision: "main" });
    expect(file).toMatchObject({ ...repository, filename: "tiny-Q4_K_M.gguf" });
    expect(reference).toMatchObject({ ...repository, revision: "v1" });
    expect(patterns).toMatchObject({ ...repository, include: ["*.gguf"] });
    expect(ollama).toMatchObject({ provider: "ollama", repo_id: "llama3.2:1b", lists: false });
    expect(registry).toMatchObject({ provider: "ollama-registry", lists: true, revision: "latest" });
    expect(url).toEqual({ provider: "url", model_id: "big.bin", lists: false });
    expect(hub.origin.log.length).toBe(asked);
  });

  test("what cannot be read is told in its place, without what it holds", async () => {
    const [bad, good, secret] = await read("what is this", "acme/tiny-gguf", "ftp://h/f?key=secret");
    expect(bad).toEqual({
      error: { message: expect.stringContaining("hf:org/name"), code: "invalid_request" },
    });
    expect(good.repo_id).toBe("acme/tiny-gguf");
    expect(JSON.stringify(secret)).not.toContain("secret");
  });

  test("a wrong body is refused", async () => {
    for (const body of [{}, { references: [] }, { references: [1] }, { references: Array(101).fill("a/b") }])
      expect((await served.call("POST", "/v1/references", body)).status).toBe(400);
  });
});

describe("POST /v1/files/{id}/verify as a stream", () => {
  const events = async (id: number): Promise<{ name: string; data: Body }[]> => {
    const answer = await served.call("POST", `/v1/files/${id}/verify`, undefined, {
      Accept: "text/event-stream",
    });
    expect(answer.headers.get("content-type")).toStartWith("text/event-stream");
    return [...answer.body.matchAll(/event: (.+)\ndata: (.+)\n\n/g)].map(([, name, data]) => ({
      name,
      data: JSON.parse(data),
    }));
  };
  const fetched = async (): Promise<Body> => {
    const { body } = await served.call("POST", "/v1/downloads", { url: origin.url("/big.bin") });
    await served.product.reaches(body.id, "completed");
    const all = (await served.call("GET", "/v1/files?limit=1000")).body.files;
    return all.find((file: Body) => file.path === "big.bin");
  };

  test("tells how far it is, then the verdict", async () => {
    const file = await fetched();
    const told = await events(file.id);
    const progress = told.slice(0, -1);
    expect(progress.length).toBeGreaterThan(1);
    expect(progress.every(({ name, data }) => name === "progress" && data.total === 24 << 20)).toBe(true);
    const bytes = progress.map(({ data }) => data.bytes);
    expect(bytes).toEqual([...bytes].sort((a, b) => a - b));
    expect(bytes.at(-1)).toBe(24 << 20);
    expect(told.at(-1)).toMatchObject({
      name: "verdict",
      data: { success: true, computed: `sha256:${origin.sha256("/big.bin")}`, file: { id: file.id } },
    });

    writeFileSync(file.local_path, Buffer.alloc(24 << 20));
    expect((await events(file.id)).at(-1)).toMatchObject({
      name: "verdict",
      data: { success: false, matches: false },
    });
  });

  test("a file that is not there is refused as without a stream", async () => {
    const answer = await served.call("POST", "/v1/files/999999/verify", undefined, {
      Accept: "text/event-stream",
    });
    expect([answer.status, answer.body.error.code]).toEqual([404, "file_not_found"]);
  });

  test("who closes the stream stops the reading", async () => {
    let until: AbortSignal | undefined;
    const stopped = Promise.withResolvers<never>();
    const answer = await verificationStream(
      (signal, tell) => {
        until = signal;
        signal.addEventListener("abort", () => stopped.reject(signal.reason), { once: true });
        tell(1, 2);
        return stopped.promise;
      },
      new AbortController().signal,
      () => performance.now(),
    );
    expect(until?.aborted).toBe(false);
    await answer.body?.cancel();
    expect(until?.aborted).toBe(true);
  });
});
