import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { ggufRepo, type Hub, startHub } from "../support/hub.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { until } from "../support/until.ts";
import { Home, sha256 } from "./product.ts";

/** Each test starts processes, and the machine may be busy. */
setDefaultTimeout(30_000);

const MB = 1 << 20;
const REPO = "acme/tiny-gguf";
const FILE = "tiny-Q4_K_M.gguf";
let hub: Hub;
let origin: Origin;

beforeAll(async () => {
  hub = await startHub({
    repos: [
      ggufRepo(REPO, { quantizations: { Q4_K_M: 2 * MB, Q8_0: 3 * MB } }),
      { ...ggufRepo("acme/gated", { quantizations: { Q4_K_M: MB } }), gated: "manual" },
    ],
  });
  origin = await startOrigin({
    resources: [
      { path: "/model.bin", seed: 1, size: 3 * MB },
      { path: "/slow.bin", seed: 2, size: 24 * MB },
      { path: "/huge.bin", seed: 3, size: 2 ** 46 },
    ],
  });
});

afterAll(async () => {
  await hub.stop();
  await origin.stop();
});

const newHome = (): Home => new Home({ HF_ENDPOINT: hub.endpoint });

describe("without a daemon", () => {
  test("a hub file: its path on standard output, its digest right, nothing else left", async () => {
    using home = newHome();
    const { code, out, err } = await home.run("pull", `hf:${REPO}/${FILE}`);
    expect({ code, err }).toMatchObject({ code: 0 });
    expect(out).toBe(`${home.models}/${REPO}/${FILE}`);
    expect(await sha256(out)).toBe(hub.repo(REPO).file(FILE).sha256);
    expect(err).toMatch(/: completed 100\.0% \(2 MB of 2 MB/);
    expect(readdirSync(`${home.models}/${REPO}`)).toEqual([FILE]);
  });

  test("--to, --include and --quiet: only what matches, into that folder, only paths printed", async () => {
    using home = newHome();
    const to = home.dir.at("elsewhere");
    const { code, out, err } = await home.run("pull", REPO, "--include", "*Q8_0*", "--to", to, "--quiet");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out.startsWith(to)).toBe(true);
    expect(existsSync(`${to}/${REPO}/tiny-Q8_0.gguf`)).toBe(true);
    expect(existsSync(`${to}/${REPO}/${FILE}`)).toBe(false);
  });

  test("--json: one download object per line, the last one completed", async () => {
    using home = newHome();
    const { code, out } = await home.run(
      "pull",
      origin.url("/model.bin"),
      "--json",
      "--sha256",
      origin.sha256("/model.bin"),
    );
    const lines = out.split("\n").map((line) => JSON.parse(line));
    expect(code).toBe(0);
    expect(lines.at(-1)).toMatchObject({
      state: "completed",
      progress: { downloaded_bytes: 3 * MB, percentage: 100 },
    });
    expect(lines.every((line) => line.model_id === "model.bin")).toBe(true);
  });

  test("4 for what is not there or not allowed, 5 for a wrong digest, with the reason", async () => {
    using home = newHome();
    const missing = await home.run("pull", "hf:acme/none");
    expect(missing.code).toBe(4);
    expect(missing.err).toContain("acme/none");
    expect((await home.run("pull", `hf:acme/gated/gated-Q4_K_M.gguf`)).code).toBe(4);
    expect((await home.run("pull", origin.url("/none.bin"))).code).toBe(4);
    const wrong = await home.run("pull", origin.url("/model.bin"), "--sha256", "0".repeat(64));
    expect(wrong.code).toBe(5);
    expect(existsSync(`${home.models}/model.bin`)).toBe(false);
  });

  test("F193 what opens a URL is not repeated when the URL is refused", async () => {
    using home = newHome();
    const url = "http://ada:canary@127.0.0.1:1/m.gguf?signature=canary";
    const { code, err } = await home.run("pull", url);
    expect({ code, err }).toMatchObject({ code: 2 });
    expect(err).toStartWith("modelhaul: http://127.0.0.1:1/m.gguf: The URL contains a user name");
    expect(err).not.toContain("canary");
  });

  test("a token in a file opens the gate and is shown nowhere", async () => {
    using home = newHome();
    const token = hub.addUser("ada", { access: { "acme/gated": "granted" } });
    writeFileSync(home.dir.at("token"), `${token}\n`);
    const { code, out, err } = await home.run(
      "pull",
      "hf:acme/gated",
      "--token-file",
      home.dir.at("token"),
      "--json",
    );
    expect(code).toBe(0);
    expect(out + err).not.toContain(token);
  });

  test("6 when it does not fit on the disk", async () => {
    using home = newHome();
    const { code, err } = await home.run("pull", origin.url("/huge.bin"));
    expect(code).toBe(6);
    expect(err).toMatch(/modelhaul: huge\.bin: waiting for disk space: .+/);
  });

  test("1 when the disk takes nothing: that is told, and not that it is full", async () => {
    using home = newHome();
    // Nobody can make anything there, whoever asks.
    const { code, err } = await home.run("pull", origin.url("/model.bin"), "--to", "/proc/modelhaul-test");
    expect({ code, err }).toMatchObject({ code: 1 });
    expect(err).toContain("/proc/modelhaul-test");
    expect(err).not.toContain("space");
  });

  test("one of two fails: the other is there, the code is the failure's", async () => {
    using home = newHome();
    const { code, out, err } = await home.run("pull", origin.url("/model.bin"), "hf:acme/none");
    expect(code).toBe(4);
    expect(out).toBe(`${home.models}/model.bin`);
    expect(err).toContain("modelhaul: acme/none: ");
  });

  test("Ctrl-C is 130, keeps what has arrived, and the same command goes on from there", async () => {
    using home = newHome();
    const rule = origin.on({ path: "/slow.bin" }, { kind: "rate", bytesPerSecond: 2 * MB });
    const before = origin.sent("/slow.bin");
    const child = home.spawn(["pull", origin.url("/slow.bin"), "--connections", "2"]);
    await until(() => origin.sent("/slow.bin") - before > 4 * MB, "4 MB sent", { timeoutMs: 20_000 });
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
    expect(await new Response(child.stderr).text()).toContain("the same command goes on from there");
    rule.remove();
    const kept = origin.sent("/slow.bin") - before;

    const again = await home.run("pull", origin.url("/slow.bin"));
    expect(again.code).toBe(0);
    expect(await sha256(again.out)).toBe(origin.sha256("/slow.bin"));
    // What was sent twice is at most what was on its way when the first command was ended.
    expect(origin.sent("/slow.bin") - before).toBeLessThan(24 * MB + kept);
  });

  test("A6 after a failure the same command goes on from what has arrived", async () => {
    using home = newHome();
    // No second try: a way to the end of the patience that does not take minutes.
    const daemon = await home.serve();
    const settings = { retry: { max_attempts: 1, base_ms: 1, max_ms: 1 } };
    const headers = { "Content-Type": "application/json" };
    const changed = { method: "PATCH", headers, body: JSON.stringify(settings) };
    expect((await fetch(`${daemon.url}/v1/settings`, changed)).status).toBe(200);
    daemon.child.kill("SIGTERM");
    await daemon.child.exited;
    origin.put({ path: "/long.bin", seed: 7, size: 12 * MB });
    const broken = origin.on({ path: "/long.bin", covers: 9 * MB }, { kind: "respond", status: 500 });
    const first = await home.run("pull", origin.url("/long.bin"), "--connections", "1");
    expect({ code: first.code, err: first.err }).toMatchObject({ code: 1 });
    expect(readdirSync(home.models).map((name) => name.replace(/[0-9a-f]{8}/, "ID"))).toEqual([
      "long.bin.ID.part",
    ]);
    const arrived = statSync(`${home.models}/${readdirSync(home.models)[0]}`).size;
    broken.remove();
    const sent = origin.sent("/long.bin");
    const second = await home.run("pull", origin.url("/long.bin"));
    expect({ code: second.code, err: second.err }).toMatchObject({ code: 0 });
    expect(await sha256(second.out)).toBe(origin.sha256("/long.bin"));
    expect(arrived).toBeGreaterThan(4 * MB);
    expect(origin.sent("/long.bin") - sent).toBeLessThan(12 * MB - arrived + MB);
    expect(readdirSync(home.models)).toEqual(["long.bin"]);
  });

  test("what a daemon has left in the queue is neither begun nor waited for", async () => {
    using home = newHome();
    const daemon = await home.serve();
    await fetch(`${daemon.url}/v1/settings`, {
      method: "PATCH",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ paused: true, max_concurrent: 1 }),
    });
    const post = (url: string) =>
      fetch(`${daemon.url}/v1/downloads`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ url }),
      });
    for (const url of [origin.url("/slow.bin"), origin.url("/model.bin")])
      expect((await post(url)).status).toBe(202);
    daemon.child.kill("SIGTERM");
    await daemon.child.exited;
    const asked = origin.requests("/slow.bin").length;
    // As fast as a stone: whoever waits for it waits for ever.
    const stuck = origin.on({ path: "/slow.bin" }, { kind: "stall", at: "start" });
    const { code, out, err } = await home.run("pull", origin.url("/model.bin"));
    expect({ code, err }).toMatchObject({ code: 0 });
    expect(await sha256(out)).toBe(origin.sha256("/model.bin"));
    expect(origin.requests("/slow.bin").length).toBe(asked);
    stuck.remove();
    const again = await home.serve();
    const listed = (await (await fetch(`${again.url}/v1/downloads?state=queued`)).json()) as {
      active_downloads: { model_id: string }[];
    };
    expect(listed.active_downloads.map(({ model_id }) => model_id)).toEqual(["slow.bin"]);
  });

  test("an interrupted one does not start again with a command for something else", async () => {
    using home = newHome();
    const rule = origin.on({ path: "/slow.bin" }, { kind: "rate", bytesPerSecond: MB });
    const first = origin.sent("/slow.bin");
    const child = home.spawn(["pull", origin.url("/slow.bin")]);
    await until(() => origin.sent("/slow.bin") > first, "some bytes", { timeoutMs: 20_000 });
    child.kill("SIGINT");
    await child.exited;
    const requests = origin.requests("/slow.bin").length;
    expect((await home.run("pull", origin.url("/model.bin"))).code).toBe(0);
    expect(origin.requests("/slow.bin").length).toBe(requests);
    rule.remove();
  });
});

describe("with a daemon on the data folder", () => {
  test("the daemon does the work, the command follows to the end", async () => {
    using home = newHome();
    await home.serve();
    const { code, out, err } = await home.run("pull", `hf:${REPO}/${FILE}`);
    expect({ code, out }).toEqual({ code: 0, out: `${home.models}/${REPO}/${FILE}` });
    expect(err).toContain("completed 100.0%");
    expect(statSync(out).size).toBe(2 * MB);
  });

  test("--to cannot be given then", async () => {
    using home = newHome();
    await home.serve();
    const { code, err } = await home.run("pull", REPO, "--to", home.dir.at("x"));
    expect(code).toBe(2);
    expect(err).toContain("--to: a daemon does the work here");
  });

  test("what was pulled before is told at once by its path, and the codes are the same", async () => {
    using home = newHome();
    const { url } = await home.serve();
    for (let i = 0; i < 2; i += 1) {
      const { code, out } = await home.run("pull", `${REPO}/${FILE}`, "--server", url);
      expect([code, out]).toEqual([0, `${home.models}/${REPO}/${FILE}`]);
    }
    expect((await home.run("pull", "hf:acme/none", "--server", url)).code).toBe(4);
  });

  test("3 when another command, no daemon, has the folder", async () => {
    using home = newHome();
    const rule = origin.on({ path: "/slow.bin" }, { kind: "rate", bytesPerSecond: 100_000 });
    const before = origin.requests("/slow.bin").length;
    const child = home.spawn(["pull", origin.url("/slow.bin")]);
    await until(() => origin.requests("/slow.bin").length > before, "the first command to work", {
      timeoutMs: 20_000,
    });
    const second = await home.run("pull", origin.url("/model.bin"));
    expect(second.code).toBe(3);
    expect(second.err).toContain(home.data);
    child.kill("SIGINT");
    await child.exited;
    rule.remove();
  });
});
