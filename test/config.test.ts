import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Config, ConfigError, type Environment, type Flags, loadConfig } from "../src/config.ts";

const HOME = "/home/u";

/** Config from flags, environment and files that exist by name. */
function load(flags: Flags = {}, env: Environment = {}, files: Record<string, string> = {}): Config {
  const readFile = (path: string): string => {
    const text = files[path];
    if (text === undefined) throw new Error(`ENOENT: no such file or directory, open '${path}'`);
    return text;
  };
  return loadConfig(flags, { HOME, ...env }, readFile, { platform: "linux" });
}

function refusal(...args: Parameters<typeof load>): string {
  try {
    load(...args);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("was accepted");
}

describe("order of precedence", () => {
  const files = {
    "/etc/m.toml": 'max-concurrent = 2\nconnections = 2\nlinger = "2s"\nallow-host = ["a", "b"]',
  };

  test("a flag beats the environment, which beats the file, which beats the default", () => {
    const config = load(
      { config: "/etc/m.toml", maxConcurrent: "9" },
      { MODELHAUL_MAX_CONCURRENT: "8", MODELHAUL_CONNECTIONS: "7" },
      files,
    );
    expect([config.maxConcurrent, config.connections, config.linger, config.keepPartials]).toEqual([
      9, 7, 2000, 86_400_000,
    ]);
    expect(config.allowHost).toEqual(["a", "b"]);
  });

  test("`given` names what somebody set, so that stored settings may replace defaults only", () => {
    const config = load({ maxConcurrent: "3" }, { MODELHAUL_LINGER: "15s" });
    expect([...config.given].sort()).toEqual(["linger", "maxConcurrent"]);
  });

  test("lists come by repeated flags, commas in the environment, arrays in the file", () => {
    expect(load({ corsOrigin: ["https://a.b", "http://c:1"] }).corsOrigin).toEqual([
      "https://a.b",
      "http://c:1",
    ]);
    expect(load({}, { MODELHAUL_ALLOW_ADDRESS: "10.0.0.0/8, nas.local" }).allowAddress).toEqual([
      "10.0.0.0/8",
      "nas.local",
    ]);
  });

  test("a path in the config file starts from the file's folder, `~` is the home folder", () => {
    const config = load(
      { config: "/etc/m.toml" },
      {},
      { "/etc/m.toml": 'models-dir = "m"\ndata-dir = "~/d"' },
    );
    expect([config.modelsDir, config.dataDir]).toEqual(["/etc/m", "/home/u/d"]);
  });
});

test("R138a [[startup]] tables come from the file alone, as they stand there", () => {
  expect(load().startup).toEqual([]);
  const text = `
    max-concurrent = 2
    [[startup]]
    url = "http://h/a.gguf"
    engine = { engine_id = "a", loading_parameters = { n_ctx = 2048 } }
    [[startup]]
    repo_id = "o/n"
    include = ["*.gguf"]
    [startup.engine]
    load_immediately = false`;
  const config = load({ config: "/c", startup: "x" }, {}, { "/c": text });
  expect(config.startup).toEqual([
    { url: "http://h/a.gguf", engine: { engine_id: "a", loading_parameters: { n_ctx: 2048 } } },
    { repo_id: "o/n", include: ["*.gguf"], engine: { load_immediately: false } },
  ]);
  expect([...config.given]).toEqual(["maxConcurrent"]);
});

describe("F118 a bad setting refuses to start and is named", () => {
  const cases: [string, Parameters<typeof load>, RegExp][] = [
    ["unknown variable", [{}, { MODELHAUL_MAX_CONCURENT: "3" }], /^MODELHAUL_MAX_CONCURENT: no such setting/],
    ["unknown key", [{ config: "/c" }, {}, { "/c": "colour = 1" }], /unknown key "colour"/],
    ["broken file", [{ config: "/c" }, {}, { "/c": "linger = = 1" }], /^--config \/c: /],
    ["missing file", [{ config: "/none" }], /^--config \/none: ENOENT/],
    ["table in the file", [{ config: "/c" }, {}, { "/c": "[linger]\na = 1" }], /^linger in the config file/],
    [
      "one startup table",
      [{ config: "/c" }, {}, { "/c": "[startup]\nurl = 'x'" }],
      /^startup in .*\[\[startup\]\]/,
    ],
    ["startup as text", [{ config: "/c" }, {}, { "/c": "startup = ['x']" }], /^startup in the config file: /],
    ["startup by environment", [{}, { MODELHAUL_STARTUP: "x" }], /^MODELHAUL_STARTUP: no such setting/],
    ["list for one value", [{ config: "/c" }, {}, { "/c": "linger = ['1s','2s']" }], /expected one value/],
    ["number with text", [{ maxConcurrent: "3x" }], /^--max-concurrent "3x": expected a whole number from 1/],
    ["number out of range", [{}, { MODELHAUL_CONNECTIONS: "0" }], /^MODELHAUL_CONNECTIONS "0"/],
    ["empty flag", [{ dataDir: "" }], /^--data-dir "": expected a value/],
    ["unit of time missing", [{ linger: "15" }], /^--linger "15": expected a duration/],
    ["size with a wrong unit", [{ rateLimit: "5 parsecs" }], /^--rate-limit "5 parsecs": expected a size/],
    ["unknown layout", [{ layout: "deep" }], /expected one of flat, hf-cache/],
    ["port too high", [{ listen: ["127.0.0.1:70000"] }], /^--listen "127.0.0.1:70000"/],
    ["port alone", [{ listen: ["8080"] }], /^--listen "8080"/],
    ["bad network", [{ allowAddress: ["10.0.0.0/40"] }], /^--allow-address "10.0.0.0\/40"/],
    ["origin with a path", [{ corsOrigin: ["https://a.b/c"] }], /^--cors-origin/],
    ["endpoint without a scheme", [{}, { HF_ENDPOINT: "hf-mirror.com" }], /^HF_ENDPOINT "hf-mirror.com"/],
    ["missing key file", [{ apiKeyFile: "/k" }], /^--api-key-file \/k: ENOENT/],
    ["two keys in one place", [{ apiKey: "abcdefgh", apiKeyFile: "/k" }], /give only one of them/],
  ];
  for (const [name, args, message] of cases)
    test(name, () => {
      expect(refusal(...args)).toMatch(message);
    });

  test("F193 a refused key or proxy is not repeated", () => {
    expect(refusal({ apiKey: "s3cret" })).not.toContain("s3cret");
    expect(refusal({}, { MODELHAUL_PROXY: "socks5://u:hunter2@h" })).not.toContain("hunter2");
    expect(refusal({ apiKeyFile: "/k" }, {}, { "/k": "two words" })).not.toContain("two words");
    for (const url of ["http://ada:hunter2@h:1", "http://h:1/?key=hunter2"])
      for (const name of ["OLLAMA_URL", "HF_ENDPOINT", "MODELSCOPE_ENDPOINT", "SERVER"])
        expect(refusal({}, { [`MODELHAUL_${name}`]: url })).not.toContain("hunter2");
    expect(refusal({ ollamaUrl: "http://ada:hunter2@h:1/?a" })).toStartWith(
      '--ollama-url "http://h:1/": expected',
    );
  });
});

describe("A15 listening beyond loopback", () => {
  test("needs a key or --no-auth", () => {
    expect(refusal({ listen: ["0.0.0.0:8080"] })).toMatch(
      /^--listen 0\.0\.0\.0:8080: .*--api-key-file.*--no-auth/,
    );
    expect(refusal({ listen: ["127.0.0.1:1", "[::]:8080"] })).toContain("--listen");
    expect(load({ listen: ["0.0.0.0:8080"], noAuth: true }).noAuth).toBe(true);
    expect(load({ listen: ["0.0.0.0:8080"], apiKeyFile: "/k" }, {}, { "/k": "k3y-of-a-file\n" }).apiKey).toBe(
      "k3y-of-a-file",
    );
  });

  test("loopback in every spelling needs none", () => {
    for (const address of ["127.0.0.1:0", "127.9.9.9:80", "[::1]:0", "[::ffff:127.0.0.1]:1", "localhost:9"])
      expect(load({ listen: [address] }).apiKey).toBeNull();
  });

  test("does not matter to a command that only talks to a daemon", () => {
    const env = { HOME, MODELHAUL_LISTEN: "0.0.0.0:1" };
    expect(loadConfig({}, env, () => "", { purpose: "client" }).listen[0]?.host).toBe("0.0.0.0");
  });

  test("A1 the default is both loopback addresses, of which IPv6 may be missing", () => {
    expect(load().listen).toEqual([
      { host: "127.0.0.1", port: 8080, optional: false },
      { host: "::1", port: 8080, optional: true },
    ]);
    expect(load({ listen: ["127.0.0.1:8000"] }).listen).toHaveLength(1);
  });

  test("a key file given as a flag beats a key in the environment", () => {
    expect(
      load({ apiKeyFile: "/k" }, { MODELHAUL_API_KEY: "environment" }, { "/k": "from-a-file" }).apiKey,
    ).toBe("from-a-file");
  });
});

describe("values", () => {
  test("sizes", () => {
    const sizes: [string, number][] = [
      ["0", 0],
      ["1024", 1024],
      ["50MB", 52_428_800],
      ["50MiB", 52_428_800],
      ["1.5GiB", 1_610_612_736],
      ["1k", 1024],
      ["10 b", 10],
    ];
    for (const [text, expected] of sizes) expect(load({ rateLimit: text }).rateLimit).toBe(expected);
  });

  test("durations", () => {
    const durations: [string, number][] = [
      ["0", 0],
      ["250ms", 250],
      ["15s", 15_000],
      ["1.5m", 90_000],
      ["24h", 86_400_000],
      ["30d", 2_592_000_000],
    ];
    for (const [text, expected] of durations) expect(load({ history: text }).history).toBe(expected);
  });

  test("the config is frozen, its lists too", () => {
    const config = load();
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.listen)).toBe(true);
  });
});

describe("other tools' variables", () => {
  test("HF_HUB_CACHE, HF_HOME and XDG_CACHE_HOME place the cache as Hugging Face's tools do", () => {
    expect(load().hfCache).toBe("/home/u/.cache/huggingface/hub");
    expect(load({}, { XDG_CACHE_HOME: "/x" }).hfCache).toBe("/x/huggingface/hub");
    expect(load({}, { HF_HOME: "/h" }).hfCache).toBe("/h/hub");
    expect(load({}, { HF_HOME: "/h", HF_HUB_CACHE: "/c" }).hfCache).toBe("/c");
    expect(load({}, { HF_HUB_CACHE: "/c", MODELHAUL_HF_CACHE: "/own" }).hfCache).toBe("/own");
  });

  test("the hub token comes from HF_TOKEN, its old name, or the login file", () => {
    expect(load({}, { HF_TOKEN: " hf_a\r\n", HUGGING_FACE_HUB_TOKEN: "hf_b" }).hfToken).toBe("hf_a");
    expect(load({}, { HUGGING_FACE_HUB_TOKEN: "hf_b" }).hfToken).toBe("hf_b");
    expect(load({}, {}, { "/home/u/.cache/huggingface/token": "hf_c\n" }).hfToken).toBe("hf_c");
    expect(load({}, { HF_TOKEN_PATH: "/t", HF_HOME: "/h" }, { "/t": "hf_d", "/h/token": "x" }).hfToken).toBe(
      "hf_d",
    );
    expect(load({}, { HF_HUB_DISABLE_IMPLICIT_TOKEN: "1", HF_TOKEN: "hf_a" }).hfToken).toBeNull();
    expect(load().hfToken).toBeNull();
  });

  test("HF_ENDPOINT loses its trailing slash and beats the config file", () => {
    const files = { "/c": 'hf-endpoint = "https://file.example"' };
    expect(load({ config: "/c" }, { HF_ENDPOINT: "https://hf-mirror.com/" }, files).hfEndpoint).toBe(
      "https://hf-mirror.com",
    );
  });

  test("MODELSCOPE_ENDPOINT, its old name and the preferred site choose the site; the token is a secret", () => {
    const site = (env: Environment) => load({}, env).modelscopeEndpoint;
    expect(site({})).toBe("https://modelscope.cn");
    expect(site({ MODELSCOPE_PREFER_AI_SITE: "true" })).toBe("https://www.modelscope.ai");
    expect(site({ MODELSCOPE_ENDPOINT: "https://mirror.example/ms/" })).toBe("https://mirror.example/ms");
    expect(site({ MODELSCOPE_ENDPOINT: "www.modelscope.cn" })).toBe("https://www.modelscope.cn");
    expect(site({ MODELSCOPE_DOMAIN: "www.modelscope.ai" })).toBe("https://www.modelscope.ai");
    expect(site({ MODELSCOPE_DOMAIN: "a", MODELHAUL_MODELSCOPE_ENDPOINT: "http://b" })).toBe("http://b");
    expect(refusal({}, { MODELHAUL_MODELSCOPE_ENDPOINT: "b" })).toMatch(/^MODELHAUL_MODELSCOPE_ENDPOINT/);
    expect(load({}, { MODELSCOPE_API_TOKEN: " ms-a\r\n" }).modelscopeToken).toBe("ms-a");
    expect(load().modelscopeToken).toBeNull();
  });

  test("OLLAMA_HOST is read as Ollama reads it", () => {
    const hosts: [string, string][] = [
      ["box", "http://box:11434"],
      ["box:99", "http://box:99"],
      [":99", "http://127.0.0.1:99"],
      ["0.0.0.0", "http://127.0.0.1:11434"],
      ["[::]:5", "http://[::1]:5"],
      ["http://box", "http://box"],
      ["https://box/ollama/", "https://box/ollama"],
      ["box:port", "http://box:11434"],
    ];
    for (const [text, expected] of hosts) expect(load({}, { OLLAMA_HOST: text }).ollamaUrl).toBe(expected);
    expect(refusal({}, { MODELHAUL_OLLAMA_URL: "box" })).toMatch(/^MODELHAUL_OLLAMA_URL/);
  });

  test("OLLAMA_MODELS is Ollama's models folder, by default the one of Ollama itself", () => {
    const at = (env: Environment, platform: NodeJS.Platform = "linux") =>
      loadConfig({}, env, () => "", { platform }).ollamaModels;
    expect(at({ HOME })).toBe("/home/u/.ollama/models");
    expect(at({ USERPROFILE: "/u" }, "win32")).toBe("/u/.ollama/models");
    expect(at({ HOME, OLLAMA_MODELS: "/big/models" })).toBe("/big/models");
    expect(at({ HOME, OLLAMA_MODELS: "/big", MODELHAUL_OLLAMA_MODELS: "/mine" })).toBe("/mine");
    expect(load().ollamaRegistry).toBe("https://registry.ollama.ai");
    expect(load({ ollamaRegistry: "http://mirror:5000/" }).ollamaRegistry).toBe("http://mirror:5000");
    expect(refusal({}, { MODELHAUL_OLLAMA_REGISTRY: "mirror" })).toMatch(/^MODELHAUL_OLLAMA_REGISTRY/);
  });

  test("the data folder follows the platform", () => {
    const at = (platform: NodeJS.Platform, env: Environment) =>
      loadConfig({}, env, () => "", { platform }).dataDir;
    expect(at("linux", { HOME })).toBe("/home/u/.local/share/modelhaul");
    expect(at("linux", { HOME, XDG_DATA_HOME: "/x" })).toBe("/x/modelhaul");
    expect(at("linux", { HOME, XDG_DATA_HOME: "relative" })).toBe("/home/u/.local/share/modelhaul");
    expect(at("darwin", { HOME })).toBe("/home/u/Library/Application Support/modelhaul");
    expect(at("win32", { LOCALAPPDATA: "/l" })).toBe("/l/modelhaul");
  });

  test("a proxy variable is told about, never used", () => {
    const config = load({}, { HTTPS_PROXY: "http://u:hunter2@p:1" });
    expect(config.proxy).toBeNull();
    expect(config.warnings.join()).toContain("HTTPS_PROXY set but not used");
    expect(config.warnings.join()).not.toContain("hunter2");
  });
});

test("takeEnvironment keeps fetch from using a proxy of the environment", async () => {
  const dir = mkdtempSync(join(tmpdir(), "modelhaul-config-"));
  const script = join(dir, "probe.ts");
  await Bun.write(
    script,
    `import { takeEnvironment } from ${JSON.stringify(join(import.meta.dir, "../src/config.ts"))};
     const env = takeEnvironment();
     const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("direct") });
     console.log(await (await fetch(server.url)).text(), env.http_proxy);
     await server.stop(true);`,
  );
  const run = Bun.spawn([process.execPath, script], {
    env: {
      ...process.env,
      http_proxy: "http://127.0.0.1:9",
      HTTP_PROXY: "http://127.0.0.1:9",
      ALL_PROXY: "http://127.0.0.1:9",
    },
    stdout: "pipe",
    stderr: "pipe",
  });
  expect((await new Response(run.stdout).text()).trim()).toBe("direct http://127.0.0.1:9");
  rmSync(dir, { recursive: true });
});

describe("F210 a Unix socket", () => {
  test("stands in place of the ports, unless they are named too", () => {
    expect(load().unix).toBeNull();
    expect([load({ unix: "/run/m.sock" }).unix, load({ unix: "/run/m.sock" }).listen]).toEqual([
      "/run/m.sock",
      [],
    ]);
    expect(load({ unix: "/run/m.sock", listen: ["127.0.0.1:8000"] }).listen).toHaveLength(1);
    expect(load({}, { MODELHAUL_UNIX: "/run/e.sock" }).unix).toBe("/run/e.sock");
    expect(load({ config: "/etc/m.toml" }, {}, { "/etc/m.toml": 'unix = "m.sock"' }).unix).toBe(
      "/etc/m.sock",
    );
  });

  test("is found by --server unix:PATH, in every spelling that tools have", () => {
    const found = ["unix:/run/m.sock", "unix:///run/m.sock"].map((server) => load({ server }).server);
    expect(found).toEqual(["unix:/run/m.sock", "unix:/run/m.sock"]);
    expect(load({ server: "unix:~/m.sock" }).server).toBe(`unix:${HOME}/m.sock`);
  });

  test("a path that no socket can have is refused by name, and so is Windows", () => {
    const path = `/${"a".repeat(107)}`;
    expect(refusal({ unix: path })).toMatch(/^--unix .*at most 107 bytes/);
    expect(refusal({ server: `unix:${path}` })).toMatch(/^--server .*at most 107 bytes/);
    const onWindows = () => loadConfig({ unix: "m.sock" }, { HOME }, () => "", { platform: "win32" });
    expect(onWindows).toThrow(/^--unix .*Windows.*--listen/);
  });
});
