import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { sha256File } from "../e2e/support.ts";
import { type Hub, startHub } from "../support/hub.ts";
import { Contract } from "./contract.ts";
import { type Body, MB, type Served, serve } from "./support.ts";
import { hold, query, transfers, weights } from "./wingman-world.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

const FILES = "one two three four five six seven eight nine ten eleven".split(" ");
const REPO = "acme/Weights";
const pathOf = (name: string) => `${name}.bin`;

let hub: Hub;
let served: Served;
let contract: Contract;
beforeAll(async () => {
  const files = Object.fromEntries(FILES.map((name) => [pathOf(name), MB]));
  hub = await startHub({
    repos: [weights(REPO, files), { ...weights("acme/gated", { "g.bin": MB }), gated: "auto" }],
  });
  served = await serve({ product: { hfEndpoint: hub.endpoint } });
  contract = await Contract.of(served);
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  await hub[Symbol.asyncDispose]();
});

/** One request whose answer is as documented: `[status, body]`. */
async function ask(method: string, target: string, body?: unknown, headers = {}): Promise<[number, Body]> {
  const answer = await served.call(method, target, body, headers);
  expect(contract.problems(method, target.split("?")[0] ?? "", answer)).toEqual([]);
  return [answer.status, answer.body];
}

const core = ({ status, progress, error }: Body) => ({ status, progress, error });
const start = (file: string, more = "") => ask("GET", `/api/download${query(REPO, file)}${more}`);
const look = (repo: string, file: string) =>
  ask("GET", `/api/progress${query(repo, file)}`, undefined, { Accept: "application/json" });

/** Downloads it to its end. */
async function fetched(file: string): Promise<Body> {
  const [, body] = await start(file);
  await served.product.reaches(body.id, "completed");
  return body;
}

describe("/api/download", () => {
  test("R139 R143 R145 R147 R154 R155 R161 A12 what is new is queued with 202, goes on by itself and arrives", async () => {
    const file = pathOf("one");
    const held = hold(hub, REPO, file, 1000);
    const [status, body] = await start(file);
    expect([status, core(body)]).toEqual([202, { status: "queued", progress: 0, error: null }]);
    expect([body.ModelRepo, body.FilePath, body.state, body.message]).toEqual([
      REPO,
      file,
      "queued",
      "Download queued",
    ]);
    held.remove();
    held.release();
    // Nobody is connected meanwhile.
    const done = await served.product.reaches(body.id, "completed");
    expect(await sha256File(done.localPath as string)).toBe(hub.repo(REPO).file(file).sha256);
    expect(done.localPath).toBe(join(served.product.models, REPO, file));
  });

  test("R152 what is there already is told with 200 and not fetched again", async () => {
    const file = pathOf("two");
    await fetched(file);
    const before = transfers(hub, REPO, file);
    const [status, body] = await start(file);
    expect([status, core(body)]).toEqual([200, { status: "done", progress: 100, error: null }]);
    expect(body.message).toContain("already completed");
    expect(transfers(hub, REPO, file)).toEqual(before);
  });

  test("R144 R153 what is under way is told with 200, with how far it is", async () => {
    const file = pathOf("three");
    const held = hold(hub, REPO, file, MB / 2);
    const [, { id }] = await start(file);
    await served.product.has(id, MB / 4);
    const [status, body] = await start(file);
    expect([status, body.status, body.error, body.id]).toEqual([200, "in-progress", null, id]);
    expect(body.progress).toBeGreaterThanOrEqual(25);
    expect(body.progress).toBeLessThan(100);
    expect(body.message).toContain("in progress");
    held.remove();
    held.release();
    await served.product.reaches(id, "completed");
  });

  test("R156 A12 a failed one is told with its error, also with 200, and queued again only with retry=true", async () => {
    const missing = "not-there.bin";
    const [, { id }] = await start(missing);
    await served.product.reaches(id, "failed");
    for (const more of ["", "&retry=false"]) {
      const [status, body] = await start(missing, more);
      expect([status, body.status, body.progress]).toEqual([200, "failed", 0]);
      expect(body.error).toContain('has no file "not-there.bin"');
    }
    const [refused, { error }] = await start(missing, "&retry=maybe");
    expect([refused, error]).toEqual([400, "'retry' must be true or false"]);
    hub.repo(REPO).commit([{ path: missing, content: "x".repeat(5000) }]);
    const [status, body] = await start(missing, "&retry=true");
    expect([status, core(body)]).toEqual([202, { status: "queued", progress: 0, error: null }]);
    expect(body.id).toBe(id);
    await served.product.reaches(id, "completed");
    expect((await start(missing, "&retry=true"))[1].status).toBe("done");
  });

  test("R156 a gated repository fails with what to do, and no token in it", async () => {
    const [, { id }] = await ask("POST", "/api/download", { ModelRepo: "acme/gated", FilePath: "g.bin" });
    await served.product.reaches(id, "failed");
    const [status, body] = await ask("POST", "/api/download", { ModelRepo: "acme/gated", FilePath: "g.bin" });
    expect([status, body.status]).toEqual([200, "failed"]);
    expect(body.error.length).toBeGreaterThan(20);
  });

  test("A4 a cancelled one is failed with 'Download cancelled'", async () => {
    const file = pathOf("four");
    const held = hold(hub, REPO, file, 1000);
    const [, { id }] = await start(file);
    await served.product.has(id, 1000);
    await served.call("POST", `/v1/downloads/${id}/cancel`);
    const [status, body] = await start(file);
    expect([status, core(body)]).toEqual([
      200,
      { status: "failed", progress: 0, error: "Download cancelled" },
    ]);
    expect(body.state).toBe("cancelled");
    held.remove();
    held.release();
    expect((await start(file, "&retry=true"))[0]).toBe(202);
    await served.product.reaches(id, "completed");
  });

  test("R142 a paused one counts as queued, keeps what it has, and goes on when resumed", async () => {
    const file = pathOf("five");
    const held = hold(hub, REPO, file, MB / 2);
    const [, { id }] = await start(file);
    await served.product.has(id, MB / 4);
    await served.call("POST", `/v1/downloads/${id}/pause`);
    const [status, body] = await start(file);
    expect([status, body.status, body.state]).toEqual([200, "queued", "paused"]);
    expect(body.progress).toBeGreaterThanOrEqual(25);
    expect(body.message).toContain(`/v1/downloads/${id}/resume`);
    held.remove();
    held.release();
    await served.call("POST", `/v1/downloads/${id}/resume`);
    await served.product.reaches(id, "completed");
    expect(transfers(hub, REPO, file).sent).toBeLessThan(1.5 * MB);
  });

  test("A22 a finished one whose file is gone is queued again", async () => {
    const file = pathOf("six");
    await fetched(file);
    rmSync(join(served.product.models, REPO, file));
    const [status, body] = await start(file);
    expect([status, core(body)]).toEqual([202, { status: "queued", progress: 0, error: null }]);
    await served.product.reaches(body.id, "completed");
    expect(await Bun.file(join(served.product.models, REPO, file)).exists()).toBe(true);
    expect((await start(file))[1].status).toBe("done");
  });

  test("A12 GET and POST, query and body, both spellings", async () => {
    const file = pathOf("seven");
    await fetched(file);
    const lower = `?modelRepo=${encodeURIComponent(REPO)}&filePath=${file}`;
    const asked: [string, string, unknown?][] = [
      ["GET", `/api/download${query(REPO, file)}`],
      ["GET", `/api/download${lower}`],
      ["POST", `/api/download${query(REPO, file)}`],
      ["POST", "/api/download", { ModelRepo: REPO, FilePath: file }],
      ["POST", "/api/download", { modelRepo: REPO, filePath: file, unknown: [1] }],
      ["POST", `/api/download?ModelRepo=${encodeURIComponent(REPO)}`, { filePath: file }],
      ["POST", `/api/download${query("acme/other", "other.bin")}`, { ModelRepo: REPO, FilePath: file }],
    ];
    for (const [method, target, body] of asked) {
      const [status, answer] = await ask(method, target, body);
      expect([method, target, status, answer.status]).toEqual([method, target, 200, "done"]);
    }
  });

  test("HEAD starts nothing", async () => {
    const target = `/api/download${query(REPO, "never.bin")}`;
    expect((await served.call("HEAD", target)).status).toBe(404);
    expect((await look(REPO, "never.bin"))[0]).toBe(404);
    expect((await served.call("HEAD", `/api/download${query(REPO, pathOf("seven"))}`)).status).toBe(200);
  });

  test("R147 a thousand equal requests at once, GET and POST mixed, are one download and one transfer", async () => {
    const file = pathOf("eight");
    const requests = Array.from({ length: 1000 }, (_, i) =>
      i % 2
        ? served.call("GET", `/api/download${query(REPO, file)}`)
        : served.call("POST", "/api/download", { modelRepo: REPO, filePath: file }),
    );
    const answers = await Promise.all(requests);
    expect(answers.filter(({ status }) => status === 202).length).toBe(1);
    expect(answers.filter(({ status }) => status === 200).length).toBe(999);
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    await served.product.reaches(answers[0]?.body.id, "completed");
    expect(transfers(hub, REPO, file)).toEqual({ requests: 1, sent: MB });
    const { body } = await served.call("GET", `/v1/downloads?state=all&q=${file}`);
    expect(body.active_downloads.length).toBe(1);
  });

  test("R147 A12 of a hundred equal retries one queues it again", async () => {
    const file = "still-not-there.bin";
    const [, { id }] = await start(file);
    await served.product.reaches(id, "failed");
    await served.call("PATCH", "/v1/settings", { paused: true });
    const answers = await Promise.all(Array.from({ length: 100 }, () => start(file, "&retry=true")));
    await served.call("PATCH", "/v1/settings", { paused: false });
    expect(answers.filter(([status]) => status === 202).length).toBe(1);
    expect(answers.every(([, body]) => body.status === "queued" && body.id === id)).toBe(true);
    await served.product.reaches(id, "failed");
  });

  test("R141 several files at the same time, each with its own progress", async () => {
    const files = [pathOf("nine"), pathOf("ten")];
    const held = files.map((file) => hold(hub, REPO, file, MB / 2));
    const bodies = await Promise.all(files.map(async (file) => (await start(file))[1]));
    for (const { id } of bodies) await served.product.has(id, MB / 4);
    for (const file of files) expect((await look(REPO, file))[1].status).toBe("downloading");
    for (const one of held) {
      one.remove();
      one.release();
    }
    for (const { id } of bodies) await served.product.reaches(id, "completed");
  });

  test("the hub's own spelling of a repository leads to the download asked for in another one", async () => {
    const file = pathOf("eleven");
    const shouted = REPO.toUpperCase();
    const [status, body] = await ask("POST", "/api/download", { ModelRepo: shouted, FilePath: file });
    expect([status, body.ModelRepo]).toEqual([202, shouted]);
    await served.product.reaches(body.id, "completed");
    const [again, same] = await start(file);
    expect([again, same.status, same.id]).toEqual([200, "done", body.id]);
  });

  test("another version of a file is another thing: it neither is this one nor keeps it from coming", async () => {
    const file = "versioned.bin";
    hub.repo(REPO).commit([{ path: file, content: "old".repeat(3000) }]);
    hub.repo(REPO).branches.set("old", hub.repo(REPO).branches.get("main") as string);
    hub.repo(REPO).commit([{ path: file, content: "new".repeat(3000) }]);
    const { body: old } = await served.call("POST", "/v1/downloads", {
      repo_id: REPO,
      filename: file,
      revision: "old",
      model_id: "old version",
    });
    await served.product.reaches(old.id, "completed");
    expect((await look(REPO, file))[1].id).toBe(old.id);
    const [status, body] = await start(file);
    expect([status, body.status]).toEqual([202, "queued"]);
    const { localPath } = await served.product.reaches(body.id, "completed");
    expect(await Bun.file(localPath as string).text()).toBe("new".repeat(3000));
    expect((await look(REPO, file))[1].id).toBe(body.id);
  });
});
