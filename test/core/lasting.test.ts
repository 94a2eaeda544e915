import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import type { FeedEvent } from "../../src/core/feed.ts";
import { openSecrets } from "../../src/storage/secrets.ts";
import { sha256Of } from "../support/bytes.ts";
import { ggufRepo, startHub } from "../support/hub.ts";
import { startOrigin } from "../support/origin.ts";
import { openProduct } from "../support/product.ts";
import { tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";
import { codeOf, digest, MB, slowOrigin } from "./support.ts";

describe("across restarts", () => {
  test("F116 a clean stop loses nothing: no byte is fetched twice, settings and records stay", async () => {
    await using origin = await slowOrigin();
    await using product = await openProduct();
    const { download } = await product.downloads.start({ url: origin.url("/slow.gguf"), modelId: "kept" });
    await product.downloads.changeSettings({ connectionsPerDownload: 3 });
    await product.has(download.id, 2 * MB);
    const seq = product.downloads.feed.seq;
    await product.close();
    const sent = origin.sent("/slow.gguf");
    origin.limits.ratePerConnection = 1000 * MB;
    origin.limits.rateTotal = 1000 * MB;
    await using again = await openProduct({ dir: product.dir });
    expect(again.downloads.settings().connectionsPerDownload).toBe(3);
    expect(again.downloads.feed.seq).toBeGreaterThan(seq);
    const done = await again.reaches("kept", "completed", "failed");
    expect(done.id).toBe(download.id);
    expect(digest(done.localPath as string)).toBe(sha256Of(3, 8 * MB));
    expect(origin.sent("/slow.gguf")).toBeLessThan(8 * MB + 700_000);
    expect(sent).toBeGreaterThan(2 * MB);
  });

  test("F87 F88 a partial file that was deleted or cut meanwhile is fetched as far as it is missing", async () => {
    await using origin = await slowOrigin();
    await using product = await openProduct();
    const { download } = await product.downloads.start({ url: origin.url("/slow.gguf") });
    await product.has(download.id, 2 * MB);
    await product.downloads.pause(download.id);
    const part = readdirSync(product.models).find((n) => n.endsWith(".part")) as string;
    expect(statSync(`${product.models}/${part}`).mode & 0o777).toBe(0o600);
    unlinkSync(`${product.models}/${part}`);
    origin.limits.ratePerConnection = 1000 * MB;
    origin.limits.rateTotal = 1000 * MB;
    await product.downloads.resume(download.id);
    const done = await product.reaches(download.id, "completed", "failed");
    expect(digest(done.localPath as string)).toBe(sha256Of(3, 8 * MB));
  });

  test("A6 with nothing to be kept, the partial data of a failed download goes at once", async () => {
    await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 1, size: 4 * MB }] });
    origin.on({ covers: 3 * MB }, { kind: "respond", status: 500 });
    const retry = { baseMs: 1, maxMs: 2, maxAttempts: 1 };
    await using product = await openProduct({ keepPartialsMs: 0, settings: { retry } });
    const { download } = await product.downloads.start({
      url: origin.url("/m.bin"),
      sha256: sha256Of(1, 4 * MB),
    });
    await product.reaches(download.id, "failed", "completed");
    const left = () => readdirSync(product.models).filter((name) => name.endsWith(".part"));
    await until(() => left().length === 0, "no partial data");
    const bytes = async () => (await product.downloads.files(download.id)).map((file) => file.bytes);
    await until(async () => (await bytes()).join() === "0", "nothing to be known of it");
  });

  test("A6 F63 a way there that has become a wrong one costs nothing of what has arrived", async () => {
    // What a network with a login page does to a laptop that wakes up in it.
    await using portal = await startOrigin({
      tls: "self-signed",
      resources: [{ path: "/m.bin", seed: 9, size: 8 * MB }],
    });
    await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 1, size: 8 * MB }] });
    const wrong = origin.on({ covers: 6 * MB }, { kind: "redirect", to: portal.url("/m.bin"), status: 302 });
    await using product = await openProduct({ settings: { connectionsPerDownload: 1 } });
    const { download } = await product.downloads.start({ url: origin.url("/m.bin") });
    const failed = await product.reaches(download.id, "failed", "completed");
    expect([failed.state, failed.error?.code]).toEqual(["failed", "tls"]);
    expect(readdirSync(product.models).filter((name) => name.endsWith(".part"))).toHaveLength(1);
    wrong.remove();
    const sent = origin.sent("/m.bin");
    await product.downloads.retry(download.id);
    const done = await product.reaches(download.id, "completed", "failed");
    expect(digest(done.localPath as string)).toBe(sha256Of(1, 8 * MB));
    expect(origin.sent("/m.bin") - sent).toBeLessThan(6 * MB);
  });

  test("I7 a token whose download was never recorded is forgotten at the next start", async () => {
    using dir = tempDir("orphan");
    const product = await openProduct({ dir: dir.path });
    await product.close();
    const secrets = await openSecrets(`${dir.path}/data`);
    await secrets.put("nobody", { token: "hf_orphaned" });
    await using again = await openProduct({ dir: dir.path });
    expect(await again.downloads.find("nobody")).toBeUndefined();
    expect(readFileSync(`${dir.path}/data/secrets.json`, "utf8")).toBe("{}");
  });

  test("I7 a token given with a request is used again after a restart and stands in no row", async () => {
    await using hub = await startHub({
      repos: [{ ...ggufRepo("acme/closed", { quantizations: { Q4_K_M: 4 * MB } }), private: true }],
      cdnLimits: { ratePerConnection: MB, rateTotal: MB },
    });
    const token = hub.addUser("ada", { access: { "acme/closed": "granted" } });
    await using product = await openProduct({ hfEndpoint: hub.endpoint });
    const request = { repoId: "acme/closed", filename: "closed-Q4_K_M.gguf" };
    expect(await codeOf(product.downloads.start(request))).toBe("fulfilled");
    const refused = await product.reaches(`acme/closed/${request.filename}`, "failed");
    expect(refused.error?.code).toBe("not_found");
    const { download } = await product.downloads.start({ ...request, token });
    await product.has(download.id, 1);
    await product.close();
    await using again = await openProduct({ dir: product.dir, hfEndpoint: hub.endpoint });
    const done = await again.reaches(download.id, "completed", "failed");
    expect(done.error).toBeNull();
    await again.close();
    for (const name of readdirSync(`${product.dir}/data`)) {
      expect(readFileSync(`${product.dir}/data/${name}`).includes(token)).toBe(false);
    }
  });
});

describe("events", () => {
  test("F221 numbers grow by every event, and whoever was away gets the newest state of what changed", async () => {
    await using origin = await slowOrigin();
    await using product = await openProduct();
    const events: FeedEvent[] = [];
    product.downloads.feed.subscribe((e) => events.push(e));
    const { download } = await product.downloads.start({ url: origin.url("/slow.gguf") });
    await product.has(download.id, MB);
    const away = product.downloads.feed.seq;
    await product.downloads.pause(download.id);
    const { events: missed, gap } = await product.downloads.feed.since(away);
    expect(gap).toBe(false);
    expect(missed.length).toBe(1);
    expect(missed[0]).toMatchObject({ type: "download", stateChanged: true, download: { state: "paused" } });
    const numbers = events.map((e) => e.seq);
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
    const states = events.flatMap((e) => (e.type === "download" && e.stateChanged ? [e.download.state] : []));
    expect(states).toEqual(["queued", "downloading", "paused"]);
    await product.downloads.cancel(download.id);
    await product.downloads.forget(download.id, { files: false });
    expect((await product.downloads.feed.since(away)).events).toEqual([
      expect.objectContaining({ type: "removed", id: download.id }) as unknown as FeedEvent,
    ]);
    expect((await product.downloads.feed.since(Number.MAX_SAFE_INTEGER)).gap).toBe(true);
  });
});

describe("files on disk", () => {
  test("F93 verify tells a changed file from a sound one", async () => {
    await using hub = await startHub({
      repos: [ggufRepo("acme/tiny-gguf", { quantizations: { Q4_K_M: MB } })],
    });
    await using product = await openProduct({ hfEndpoint: hub.endpoint });
    const { download } = await product.downloads.start({
      repoId: "acme/tiny-gguf",
      filename: "tiny-Q4_K_M.gguf",
    });
    const { localPath } = await product.reaches(download.id, "completed");
    const { items } = await product.downloads.disk.list({ limit: 10 });
    const id = items[0]?.file.id as number;
    expect((await product.downloads.disk.verify(id)).matches).toBe(true);
    const bytes = readFileSync(localPath as string);
    bytes[1000] = (bytes[1000] as number) ^ 1;
    writeFileSync(localPath as string, bytes);
    const verdict = await product.downloads.disk.verify(id);
    expect(verdict.matches).toBe(false);
    expect(verdict.file.verified).toBe(false);
    await product.downloads.disk.remove(id);
    expect(existsSync(localPath as string)).toBe(false);
    expect((await product.downloads.disk.list({ limit: 10 })).items).toEqual([]);
  });

  test("F77 with no promised digest nothing is hashed on the way; verify computes one and keeps it", async () => {
    await using origin = await startOrigin({ resources: [{ path: "/m.bin", seed: 9, size: MB }] });
    await using product = await openProduct();
    const { download } = await product.downloads.start({ url: origin.url("/m.bin") });
    const done = await product.reaches(download.id, "completed");
    expect(done.warnings.join()).toContain("unverified");
    const id = (await product.downloads.files(download.id))[0]?.id as number;
    const verdict = await product.downloads.disk.verify(id);
    expect([verdict.matches, verdict.digest.hex]).toEqual<unknown>([null, sha256Of(9, MB)]);
    expect((await product.downloads.disk.verify(id)).matches).toBe(true);
  });
});

describe("A16 engines", () => {
  test("a startup download registers its file; one that is no model fails and the verified file stays", async () => {
    await using hub = await startHub({
      repos: [ggufRepo("acme/tiny-gguf", { quantizations: { Q4_K_M: MB } })],
    });
    await using origin = await startOrigin({ resources: [{ path: "/fake.gguf", seed: 1, size: 5000 }] });
    await using product = await openProduct({ hfEndpoint: hub.endpoint });
    const engine = (engineId: string) => ({
      engineId,
      modelType: "llm" as const,
      inferenceEngine: "llama-cpu",
      loadImmediately: true,
      mainGpuId: 0,
      parameters: {},
    });
    const seen: string[] = [];
    product.downloads.feed.subscribe((e) => {
      if (e.type === "download" && e.stateChanged) seen.push(e.download.state);
    });
    const good = await product.downloads.start({
      repoId: "acme/tiny-gguf",
      filename: "tiny-Q4_K_M.gguf",
      engine: engine("good"),
    });
    await product.reaches(good.download.id, "completed");
    expect(good.download.type).toBe("startup");
    expect(seen).toContain("creating_engine");
    expect((await product.downloads.engines.list()).map((e) => [e.engineId, e.state])).toEqual([
      ["good", "loaded"],
    ]);
    const bad = await product.downloads.start({ url: origin.url("/fake.gguf"), engine: engine("bad") });
    const failed = await product.reaches(bad.download.id, "failed");
    expect(failed.error?.code).toBe("engine_failed");
    expect(existsSync(failed.localPath as string)).toBe(true);
  });
});
