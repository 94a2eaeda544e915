import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Daemon } from "../support/daemon.ts";
import { tempDir } from "../support/temp.ts";
import { Lines, until } from "../support/until.ts";
import { Home, MAIN } from "./product.ts";

/** Each test starts processes, and the machine may be busy. */
setDefaultTimeout(30_000);

const isUp = async (url: string): Promise<boolean> => (await fetch(`${url}/health`)).status === 200;

test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
  "F116 %s ends serve with 0 and takes its note away",
  async (signal) => {
    using home = new Home();
    const { child, url } = await home.serve();
    expect(await isUp(url)).toBe(true);
    const note = join(home.data, "server.json");
    expect(JSON.parse(readFileSync(note, "utf8"))).toEqual({ urls: [url], pid: child.pid });
    expect(statSync(note).mode & 0o777).toBe(0o600);
    child.kill(signal);
    expect(await child.exited).toBe(0);
    expect(existsSync(note)).toBe(false);
  },
);

test("F116 a second signal ends the process at once", async () => {
  const script = `import { onInterrupt } from ${JSON.stringify(join(MAIN, "../cli/terminal.ts"))};
    const { signal } = onInterrupt();
    signal.addEventListener("abort", () => console.log("stopping because of " + signal.reason));
    setInterval(() => {}, 1000);
    console.log("ready");`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit" });
  const out = new Lines(child.stdout);
  await out.waitFor(/^ready$/);
  child.kill("SIGTERM");
  await out.waitFor(/^stopping because of SIGTERM$/);
  child.kill("SIGINT");
  expect(await child.exited).toBe(130);
});

test("one line per listener, all of them bound", async () => {
  using home = new Home();
  const { out, url } = await home.serve("--listen", "127.0.0.2:0");
  const second = (await out.waitFor(/127\.0\.0\.2/)).replace("listening on ", "");
  expect([await isUp(url), await isUp(second)]).toEqual([true, true]);
});

test("a second serve on the data folder is refused with 3, the first goes on", async () => {
  using home = new Home();
  const { url } = await home.serve();
  const { code, err, out } = await home.run("serve", "--listen", "127.0.0.1:0");
  expect(code).toBe(3);
  expect(out).toBe("");
  expect(err).toContain(home.data);
  expect(existsSync(join(home.data, "server.json"))).toBe(true);
  expect(await isUp(url)).toBe(true);
});

test("a port that is taken is told, and nothing is printed on standard output", async () => {
  using home = new Home();
  const taken = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const { code, err, out } = await home.run("serve", "--listen", `127.0.0.1:${taken.port}`);
  await taken.stop(true);
  expect([code, out]).toEqual([1, ""]);
  expect(err).toContain(String(taken.port));
});

test("F118 a wrong key of the config file refuses to start", async () => {
  using home = new Home();
  const file = home.dir.at("m.toml");
  writeFileSync(file, "max-concurent = 3\n");
  const { code, err } = await home.run("serve", "--config", file);
  expect(code).toBe(2);
  expect(err).toContain('unknown key "max-concurent"');
  expect(existsSync(home.data)).toBe(false);
});

test("A15 the key in a file is asked for, and never logged", async () => {
  using home = new Home();
  const file = home.dir.at("key");
  writeFileSync(file, "k3y-in-a-file\n");
  const { url, err, out } = await home.serve("--api-key-file", file, "--log-level", "debug");
  expect((await fetch(`${url}/v1/downloads`)).status).toBe(401);
  const headers = { Authorization: "Bearer k3y-in-a-file" };
  expect((await fetch(`${url}/v1/downloads`, { headers })).status).toBe(200);
  expect([...err.all, ...out.all].join("\n")).not.toContain("k3y-in-a-file");

  const refused = await home.run("list", "--server", url);
  expect(refused.code).toBe(4);
  expect(refused.err).toContain("--api-key-file");
  expect(await home.run("list", "--server", url, "--api-key-file", file)).toMatchObject({
    code: 0,
    out: "no downloads",
  });
});

test("F117 serve lives on when nobody reads its output any more", async () => {
  using home = new Home();
  const note = join(home.data, "server.json");
  const child = Bun.spawn(
    [
      "sh",
      "-c",
      '"$@" 2>&1 | head -n 1',
      "sh",
      process.execPath,
      MAIN,
      "serve",
      "--listen",
      "127.0.0.1:0",
      "--log-level",
      "debug",
    ],
    {
      env: { PATH: process.env.PATH ?? "", HOME: home.dir.path, MODELHAUL_DATA_DIR: home.data },
      cwd: home.dir.path,
      stdout: "ignore",
      stderr: "ignore",
    },
  );
  const { urls, pid } = await until(() => JSON.parse(readFileSync(note, "utf8")), "the daemon's note", {
    timeoutMs: 20_000,
  });
  try {
    for (let i = 0; i < 20; i += 1) expect(await isUp(urls[0])).toBe(true);
  } finally {
    process.kill(pid, "SIGTERM");
    await child.exited;
  }
});

test.skipIf(!existsSync("/dev/full"))(
  "F117 a full disk under the log costs lines, and nothing else",
  async () => {
    using dir = tempDir("full-log");
    await using daemon = new Daemon({ dir: dir.path, args: ["--log-level", "debug"] });
    await daemon.start(["sh", "-c", 'exec "$@" 2>/dev/full', "sh"]);
    for (let i = 0; i < 20; i += 1) await daemon.must("GET", "/v1/downloads");
    expect((await daemon.begin({ url: "http://127.0.0.1:9/never.bin" })).id).toBeString();
    await daemon.stop();
    expect(daemon.log).toEqual([]);
  },
);

test("F115 an error nobody handled is told, and the daemon goes on", async () => {
  using home = new Home();
  const script = `process.on("SIGUSR2", () => { Promise.reject(new Error("stray one")); setTimeout(() => { throw new Error("stray two"); }); });
    process.argv.splice(1, Infinity, "main", "serve", "--listen", "127.0.0.1:0");
    await import(${JSON.stringify(MAIN)});`;
  const child = home.bun("-e", script);
  const url = (await new Lines(child.stdout).waitFor(/^listening on /)).replace("listening on ", "");
  const err = new Lines(child.stderr);
  child.kill("SIGUSR2");
  await err.waitFor(/an error nobody handled .*stray one/);
  await err.waitFor(/an error nobody handled .*stray two/);
  expect(await isUp(url)).toBe(true);
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
});
