import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, spyOn, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import type { State } from "../../src/core/download.ts";
import type { Snapshot } from "../../src/core/feed.ts";
import { DigestSession } from "../../src/transfer/digest.ts";
import { ggufFile, type Hub, type RepoSpec, startHub } from "../support/hub.ts";
import { LlamaProgram } from "../support/llama-server.ts";
import { tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";
import { STARTERS, type Starter, type Target } from "./across-starters.ts";
import { A4, ANSWERING, STREAMING, type Subject, type View, Watcher } from "./across-world.ts";
import { type Body, MB } from "./support.ts";
import { hold, keep, transfers } from "./wingman-world.ts";

/** A download started in any family is seen by all others, in every state there is (A4, R186c). */
setDefaultTimeout(60_000);

const REPO = "acme/across";
const FILE = "across-Q4_K_M.gguf";
const SIZE = 4 * MB;
const spec = (id: string): RepoSpec => ({
  id,
  files: [ggufFile(id, FILE, SIZE, "Q4_K_M"), { path: "README.md", content: "# Across" }],
});

let hub: Hub;
beforeAll(async () => {
  hub = await startHub({ repos: [spec(REPO)] });
});
afterAll(() => hub.stop());

const programs: LlamaProgram[] = [];
afterEach(() => {
  hub.cdn.clear();
  for (const pid of programs.splice(0).flatMap((program) => program.alive())) process.kill(pid, "SIGKILL");
});

/** One product with its listeners, and the download that was started in it while its queue stands still. */
class Scene implements AsyncDisposable {
  readonly #watchers: Watcher[] = [];
  private constructor(
    readonly subject: Subject,
    readonly starter: Starter,
    readonly program: LlamaProgram,
    readonly end: () => Promise<void>,
  ) {}

  static async begin(starter: Starter, target: Target): Promise<Scene> {
    const dir = tempDir("across");
    const program = new LlamaProgram(dir.path);
    programs.push(program);
    const engines = { standard: "llama-server", llamaServer: program.path };
    // A second connection would fetch what lies behind the byte where the first is held.
    const settings = { paused: true, connectionsPerDownload: 1 };
    const kept = await keep({ hfEndpoint: hub.endpoint, settings, engines });
    const told = Promise.withResolvers<Snapshot>();
    kept.product.downloads.feed.subscribe((event) => {
      if (event.type === "download") told.resolve(event.download);
    });
    await starter.begin(kept, target);
    const download = await told.promise;
    const { repo } = target;
    const file = starter.of === "file" ? target.file : "";
    const subject = { kept, id: download.id, modelId: download.modelId, repo, file };
    const scene = new Scene(subject, starter, program, async () => {
      await kept.close();
      dir.remove();
    });
    for (const place of STREAMING) scene.#watchers.push(await Watcher.of(place, subject));
    return scene;
  }

  /** What a command of another family does to it. */
  command(verb: "pause" | "resume" | "cancel") {
    return this.subject.kept.call("POST", `/v1/downloads/${this.subject.id}/${verb}`);
  }

  letItRun() {
    return this.subject.kept.call("PATCH", "/v1/settings", { paused: false });
  }

  /** Every family shows this state in its own word, whoever listens already and whoever comes now, with the same numbers. */
  async isSeenAs(state: State): Promise<Record<string, View>> {
    await this.subject.kept.product.reaches(this.subject.id, state);
    const seen = await until(async () => {
      const views = {
        ...(await this.#open(state)),
        ...(await this.#streamed(state)),
        ...(await this.#answered()),
      };
      return isOneTruth(Object.values(views)) && views;
    }, `one truth about ${state} everywhere`);
    const words = Object.fromEntries(Object.entries(seen).map(([name, { word }]) => [name, word]));
    const columns = [
      ...STREAMING.flatMap(({ name, column }) => [
        [`${name}, open`, column] as const,
        [name, column] as const,
      ]),
      ...ANSWERING.filter(({ name }) => name in seen).map(({ name, column }) => [name, column] as const),
    ];
    expect(words).toEqual(Object.fromEntries(columns.map(([name, column]) => [name, A4[state][column]])));
    const isOneFile = this.subject.file !== "";
    expect(["GET /api/download" in seen, "progress file" in seen]).toEqual([isOneFile, isOneFile]);
    return seen;
  }

  /** What each stream has told those who listen since before it began. */
  async #open(state: State): Promise<Record<string, View>> {
    const views: Record<string, View> = {};
    for (const watcher of this.#watchers) views[`${watcher.place.name}, open`] = await watcher.shows(state);
    return views;
  }

  /** What each stream tells somebody who comes now. */
  async #streamed(state: State): Promise<Record<string, View>> {
    const views: Record<string, View> = {};
    for (const place of STREAMING) {
      const watcher = await Watcher.of(place, this.subject);
      views[place.name] = await watcher.shows(state);
      watcher.client.close();
    }
    return views;
  }

  async #answered(): Promise<Record<string, View>> {
    const views: Record<string, View> = {};
    for (const place of ANSWERING) {
      const view = await place.look(this.subject);
      if (view) views[place.name] = view;
    }
    return views;
  }

  /** The streams that tell of one download only end with it. */
  async endsItsStreams(): Promise<void> {
    const own = this.#watchers.filter(({ place }) => place.name.startsWith("GET /api/"));
    for (const { client } of own) await client.whenEnded();
    expect(own.length).toBe(2);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { client } of this.#watchers) client.close();
    await this.end();
  }
}

/** Whether all say the same number of bytes, and the same share as far as each rounds it. */
function isOneTruth(views: View[]): boolean {
  const bytes = new Set(views.flatMap((view) => view.bytes ?? []));
  const shares = views.flatMap((view) => view.percent ?? []);
  return bytes.size === 1 && Math.max(...shares) - Math.min(...shares) <= 0.1;
}

/** Nothing is found to be verified until `release`: the digest is the real one, told later. */
function holdDigests() {
  const gate = Promise.withResolvers<void>();
  const finish = DigestSession.prototype.finish;
  const spy = spyOn(DigestSession.prototype, "finish");
  spy.mockImplementation(async function (this: DigestSession, size: number) {
    await gate.promise;
    return finish.call(this, size);
  });
  const release = () => {
    gate.resolve();
    spy.mockRestore();
  };
  return { release, [Symbol.dispose]: release };
}

describe.each(STARTERS)("A4 A24 R186c started by $name", (starter) => {
  const { of } = starter;

  test("queued, downloading, paused, verifying and completed are seen by every family at once", async () => {
    using digests = holdDigests();
    const before = transfers(hub, REPO, FILE).requests;
    await using scene = await Scene.begin(starter, { repo: REPO, file: FILE });
    const { kept, id } = scene.subject;
    await scene.isSeenAs("queued");

    const held = hold(hub, REPO, FILE, MB);
    await scene.letItRun();
    await kept.product.has(id, MB);
    const moving = await scene.isSeenAs("downloading");
    const percents = Object.values(moving).flatMap(({ percent }) => percent ?? []);
    expect([Math.min(...percents) > 20, Math.max(...percents) < 80]).toEqual([true, true]);

    expect((await scene.command("pause")).status).toBe(200);
    const paused = await scene.isSeenAs("paused");
    const { bytes } = paused["GET /downloads"] as View;
    expect(bytes).toBeGreaterThanOrEqual(MB);
    hub.cdn.clear();
    held.release();
    expect((await scene.command("resume")).status).toBe(200);

    await scene.isSeenAs("verifying");
    digests.release();
    const done = await scene.isSeenAs("completed");
    for (const view of Object.values(done)) expect(view).toMatchObject({ percent: 100, error: null });
    await scene.endsItsStreams();
    const { localPath } = await kept.product.downloads.get(id);
    expect(existsSync(localPath ?? "")).toBe(true);
    // None of those who looked has started anything of its own.
    const { active_downloads: all } = (await kept.call("GET", "/downloads?state=all")).body as Body;
    expect(all.map((it: Body) => it.id)).toEqual([id]);
    expect(transfers(hub, REPO, FILE).requests - before).toBeLessThan(12);
  });

  test("failed is seen by every family, with one reason", async () => {
    const missing = of === "file" ? { repo: REPO, file: "no-such.gguf" } : { repo: "acme/none", file: "" };
    await using scene = await Scene.begin(starter, missing);
    await scene.isSeenAs("queued");
    await scene.letItRun();
    const failed = await scene.isSeenAs("failed");
    const { error: reason } = failed["GET /v1/downloads/{id}"] as View;
    expect(reason).toContain(of === "file" ? "no-such.gguf" : "acme/none");
    for (const [name, { error }] of Object.entries(failed))
      expect([name, error]).toEqual([name, expect.stringContaining(reason ?? "-")]);
    await scene.endsItsStreams();
  });

  test("cancelled is seen by every family, and its bytes are gone", async () => {
    await using scene = await Scene.begin(starter, { repo: REPO, file: FILE });
    const { kept, id } = scene.subject;
    const held = hold(hub, REPO, FILE, MB);
    await scene.letItRun();
    await kept.product.has(id, MB);
    const { status } = await kept.call("DELETE", `/local/download/${id}`);
    held.release();
    expect(status).toBe(200);
    const cancelled = await scene.isSeenAs("cancelled");
    for (const [name, { error }] of Object.entries(cancelled))
      expect([name, error]).toEqual([
        name,
        name.includes("/api/") || name === "progress file" ? "Download cancelled" : null,
      ]);
    await scene.endsItsStreams();
    // What had arrived whole, such as the README of the repository, stays.
    const folders = [kept.product.models, `${kept.product.dir}/hub`].filter((folder) => existsSync(folder));
    const left = folders.flatMap((cwd) => [
      ...new Bun.Glob("**/*").scanSync({ cwd, dot: true, absolute: true }),
    ]);
    expect(left.filter((path) => statSync(path).size > 1000)).toEqual([]);
  });
});

describe.each(STARTERS.filter(({ withEngine }) => withEngine))("A4 R84 R87 an engine by $name", (starter) => {
  test("creating_engine is seen by every family, and its end by cancelling", async () => {
    await using scene = await Scene.begin(starter, { repo: REPO, file: FILE });
    const { kept, id } = scene.subject;
    scene.program.order({ neverReady: true });
    await scene.letItRun();
    await scene.isSeenAs("creating_engine");
    expect((await scene.command("cancel")).body.previous_status).toBe("creating_engine");
    const { localPath } = await kept.product.downloads.get(id);
    await scene.isSeenAs("cancelled");
    // The file was whole and verified by then (A16).
    expect([statSync(localPath ?? "").size, scene.program.alive()]).toEqual([SIZE, []]);
  });
});
