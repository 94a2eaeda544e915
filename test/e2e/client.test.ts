import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { project, run, typesOf } from "../client/generated.ts";
import { type Daemon, startDaemon } from "../support/daemon.ts";
import { ggufRepo, type Hub, startHub } from "../support/hub.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { sha256File } from "./support.ts";

/** The client package as others get it, in each place it is made for, against the built executable. */
setDefaultTimeout(180_000);

const MIB = 1 << 20;
const ROOT = join(import.meta.dir, "../..");
const REPO = "acme/tiny-gguf";
const FILE = "tiny-Q4_K_M.gguf";
const KEY = "correct-horse-battery-staple";

let hub: Hub;
let dir: TempDir;
let daemon: Daemon;
beforeAll(async () => {
  dir = tempDir("client");
  hub = await startHub({
    repos: [ggufRepo(REPO, { quantizations: { Q4_K_M: 8 * MIB } })],
    cdnLimits: { rateTotal: 8 * MIB },
  });
  daemon = await startDaemon({
    dir: dir.path,
    args: ["--api-key", KEY, "--allow-address", "localhost", "--allow-address", "127.0.0.1"],
    env: { HF_ENDPOINT: hub.endpoint },
    apiKey: KEY,
  });
});
afterAll(async () => {
  await daemon?.[Symbol.asyncDispose]();
  await hub?.stop();
  dir?.[Symbol.dispose]();
});

/** The next download starts from nothing. */
const forget = () => daemon.must("DELETE", "/v1/history?files=true");

/** What any runtime does with the client: answers what came of it as JSON. `Modelhaul` and the rest are in scope. */
const SCRIPT = `
async function story(client, lib, base, key) {
  const started = await client.downloads.start({ repo_id: "${REPO}", filename: "${FILE}" });
  const links = [], seqs = [], percents = [];
  for await (const event of client.watch({ ids: [started.id], onLink: (link) => links.push(link) })) {
    seqs.push(event.seq);
    const [download] = event.type === "snapshot" ? event.downloads : event.type === "download" ? [event.download] : [];
    if (download) percents.push(download.progress.percentage);
    if (download && download.state === "failed") throw new Error(download.error_message);
    if (download && download.state === "completed") break;
  }
  const done = await client.wait(started.model_id);
  const refused = await client.downloads.get("nobody").catch((error) => [error.name, error.status, error.code]);
  const steps = [];
  for await (const { status } of lib.downloadModel("huggingface", "${REPO}", { baseUrl: base, apiKey: key, layout: "flat" }))
    if (steps.at(-1) !== status) steps.push(status);
  const manager = new lib.DownloadProgressManager({ apiKey: key });
  manager.connect(base);
  const { download_id } = await manager.startDownload("${REPO}", "${FILE}");
  const last = await new Promise((resolve) => manager.subscribe(download_id, (it) => it.status === "completed" && resolve(it)));
  manager.disconnect();
  return { state: done.state, path: done.local_path, links, refused, steps, last: last.progress_percent,
    growing: seqs.every((seq, i) => i === 0 || seq > seqs[i - 1]) && percents.every((it, i) => i === 0 || it >= percents[i - 1]), events: seqs.length };
}`;

interface Told {
  state: string;
  path: string;
  links: string[];
  refused: unknown[];
  steps: string[];
  last: number;
  growing: boolean;
  events: number;
}

async function expectWell(told: Told, link: string): Promise<void> {
  expect(told).toMatchObject({
    state: "completed",
    links: [link],
    refused: ["ModelhaulError", 404, "download_not_found"],
    last: 100,
    growing: true,
  });
  expect(told.events).toBeGreaterThan(2);
  expect([told.steps[0], told.steps.at(-1)]).toEqual(["starting", "complete"]);
  expect(await sha256File(told.path)).toBe(hub.repo(REPO).file(FILE).sha256);
}

/** The package as a registry would have it, unpacked where a project of a user finds it. */
async function installed(files: Record<string, string>) {
  const made = await project(files);
  const at = made.dir.at("app");
  const home = join(at, "node_modules/modelhaul");
  mkdirSync(home, { recursive: true });
  await run(["bun", "pm", "pack", "--destination", made.dir.path, "--quiet"], ROOT, false);
  const [tarball] = [...new Bun.Glob("modelhaul-*.tgz").scanSync(made.dir.path)];
  await run(["tar", "-xzf", made.dir.at(tarball!), "--strip-components=1", "-C", home], at, false);
  for (const name of [...Object.keys(files), "package.json", "tsconfig.json"])
    cpSync(made.dir.at(name), join(at, name));
  return { ...made, at, home };
}

describe("R185 the package", () => {
  const main = `import * as lib from "modelhaul/client";
${SCRIPT}
const [base, key] = process.argv.slice(2);
const client = new lib.Modelhaul({ baseUrl: base, apiKey: key });
story(client, lib, base, key).then((told) => console.log(JSON.stringify(told)));
`;
  const typed = `import { Modelhaul, type Download, ModelhaulError, AdvancedDownloadManager } from "modelhaul/client";
const client = new Modelhaul({ baseUrl: "http://localhost:8080", apiKey: null });
export async function first(): Promise<Download | undefined> {
  for await (const event of client.watch()) if (event.type === "download") return event.download;
  return undefined;
}
export const manager = new AdvancedDownloadManager();
manager.on("downloadProgress", ({ modelId, progress }) => console.log(modelId, progress.percentage.toFixed(1)));
// @ts-expect-error a download has no such member
export const wrong = (download: Download) => download.nonsense;
export const isRefusal = (error: unknown): error is ModelhaulError => error instanceof ModelhaulError;
`;
  let app: Awaited<ReturnType<typeof installed>>;
  beforeAll(async () => {
    app = await installed({ "main.mjs": main, "typed.ts": typed });
  });
  afterAll(() => app?.[Symbol.dispose]());
  const story = async (...command: string[]): Promise<Told> => {
    await forget();
    return JSON.parse(await run([...command, "main.mjs", daemon.base, KEY], app.at, false)) as Told;
  };

  test("has types that a strict project compiles with, and nothing but the client and its source", async () => {
    expect(await run([join(ROOT, "node_modules/.bin/tsc"), "--pretty", "false", "-p", "."], app.at)).toBe("");
    const nodeNext = ["--module", "nodenext", "--moduleResolution", "nodenext"];
    expect(
      await run([join(ROOT, "node_modules/.bin/tsc"), "--pretty", "false", "-p", ".", ...nodeNext], app.at),
    ).toBe("");
    const folders = [...new Bun.Glob("**/*").scanSync(app.home)].map((it) =>
      it.split("/").slice(0, 2).join("/"),
    );
    expect(
      [...new Set(folders)]
        .filter((it) => !/^(package\.json|README\.md|LICENSE|CHANGELOG\.md)$/.test(it))
        .sort(),
    ).toEqual(["dist/client", "src/client"]);
  });

  test("runs on Node, which may have no WebSocket", async () => {
    const hasSocket = await run(["node", "-p", "typeof WebSocket"], app.at);
    await expectWell(await story("node"), hasSocket === "function" ? "websocket" : "events");
  });

  test("runs on Bun", async () => {
    await expectWell(await story("bun"), "websocket");
  });

  const deno = Bun.which("deno");
  if (deno === null) console.warn("SKIPPED: no Deno, the client is not tried there");
  test.skipIf(deno === null)("runs on Deno", async () => {
    await expectWell(await story(deno ?? "", "run", "-A"), "websocket");
  });

  const browserPath = Bun.which("chromium") ?? Bun.which("google-chrome");
  if (browserPath === null) console.warn("SKIPPED: no Chromium, the client is not tried there");
  test.skipIf(browserPath === null)(
    "is bundled for browsers and runs in one, on a page of another origin",
    async () => {
      await forget();
      const entry = `import * as lib from "modelhaul/client";\n${SCRIPT}\nObject.assign(window, { lib, story });`;
      await Bun.write(join(app.at, "page.js"), entry);
      const bundle = join(app.at, "bundle.js");
      await run(["bun", "build", "--target", "browser", "page.js", "--outfile", bundle], app.at, false);
      const script = await Bun.file(bundle).text();
      expect(script).not.toMatch(/\bnode:|\brequire\(|from "/);
      using pages = Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        fetch: ({ url }) =>
          url.endsWith(".js")
            ? new Response(script, { headers: { "Content-Type": "text/javascript" } })
            : new Response('<!doctype html><script type="module" src="/bundle.js"></script>', {
                headers: { "Content-Type": "text/html" },
              }),
      });
      let browser: Browser | undefined;
      try {
        browser = await chromium.launch({ executablePath: browserPath ?? "", args: ["--no-sandbox"] });
        const page = await browser.newPage();
        await page.goto(pages.url.href);
        await page.waitForFunction("window.story");
        const told = await page.evaluate<Told>(`(() => {
        const base = ${JSON.stringify(daemon.base)}, key = ${JSON.stringify(KEY)};
        return story(new lib.Modelhaul({ baseUrl: base, apiKey: key }), lib, base, key);
      })()`);
        await expectWell(told, "websocket");
      } finally {
        await browser?.close();
      }
    },
  );
});

test("a client generated from the OpenAPI document compiles and downloads", async () => {
  await forget();
  const types = await typesOf(await daemon.must("GET", "/openapi.json"));
  const main = `import createClient from "openapi-fetch";
import type { components, paths } from "./schema.d.ts";
declare const process: { argv: string[] };
const [baseUrl, key] = process.argv.slice(2) as [string, string];
const client = createClient<paths>({ baseUrl, headers: { "X-API-Key": key } });
const fail = (error: unknown): never => { throw new Error(JSON.stringify(error)); };
const started = await client.POST("/v1/downloads", { body: { repo_id: "${REPO}", filename: "${FILE}" } });
if (started.response.status !== 202) fail(started.error);
const { id } = started.data as components["schemas"]["Download"];
let state = "queued", path = "";
while (state !== "completed") {
  const { data, error } = await client.GET("/v1/downloads/{id}", { params: { path: { id } } });
  if (!data) fail(error);
  else ({ state, local_path: path } = data);
  if (state === "failed") fail("it failed");
  await new Promise<void>((resolve) => setTimeout(resolve, 50));
}
const unknown = await client.GET("/v1/downloads/{id}", { params: { path: { id: "nobody" } } });
const listed = await client.GET("/v1/downloads", { params: { query: { state: "completed", limit: 10 } } });
const percents = listed.data?.active_downloads.map(({ progress }) => progress.percentage);
console.log(JSON.stringify({ path, code: unknown.error?.error.code, percents }));
`;
  using made = await project({ "schema.d.ts": types, "main.ts": main });
  expect(await made.compile()).toBe("");
  const told = JSON.parse(await run(["bun", "main.ts", daemon.base, KEY], made.dir.path, false));
  expect(told).toEqual({ path: expect.any(String), code: "download_not_found", percents: [100] });
  expect(await sha256File(told.path)).toBe(hub.repo(REPO).file(FILE).sha256);
  using wrong = await project({
    "schema.d.ts": types,
    "main.ts": main
      .replace("filename:", "file_name: 5, filename:")
      .replace('state: "completed", limit: 10', 'limit: "ten"'),
  });
  expect(await wrong.compile()).toContain("main.ts");
});
