import { describe, expect, test } from "bun:test";
import { run, type Services } from "../../src/cli/index.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { loadConfig } from "../../src/config.ts";
import { VERSION } from "../../src/version.ts";

/** Runs a command that must be judged before any work begins. */
async function runCommand(...argv: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const terminal: Terminal = {
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    interactive: false,
    width: () => 80,
    flush: async () => {},
  };
  const services: Services = {
    loadConfig: (flags, purpose) =>
      loadConfig(flags, { HOME: "/nowhere" }, () => "", purpose === undefined ? {} : { purpose }),
    openService: () => Promise.reject(new Error("must not be opened")),
    backup: () => {
      throw new Error("must not back up");
    },
    connect: () => {
      throw new Error("must not connect");
    },
  };
  const code = await run(argv, services, terminal);
  return { code, out: out.join("\n"), err: err.join("\n") };
}

describe("usage", () => {
  test("--help and version are 0", async () => {
    const help = await runCommand("--help");
    expect(help.code).toBe(0);
    for (const name of [
      "serve",
      "pull",
      "list",
      "status",
      "pause",
      "resume",
      "cancel",
      "retry",
      "watch",
      "verify",
    ])
      expect(help.out).toContain(`  ${name} `);
    expect(await runCommand("version")).toEqual({ code: 0, out: `modelhaul ${VERSION}`, err: "" });
    expect((await runCommand("--version")).out).toBe(VERSION);
  });

  test("serve --help tells every flag of DESIGN §8", async () => {
    const { out } = await runCommand("serve", "--help");
    const flags =
      "listen data-dir models-dir web-root api-key api-key-file no-auth cors-origin allow-host allow-address max-concurrent connections rate-limit layout hf-cache linger keep-partials history hf-endpoint modelscope-endpoint ollama-url engine-runtime llama-server log-level log-format config";
    for (const flag of flags.split(" ")) expect(out).toContain(`--${flag}`);
  });

  const bad: [string, string[], RegExp][] = [
    ["no such command", ["fly"], /unknown command 'fly'/],
    ["no such flag", ["serve", "--fast"], /unknown option '--fast'/],
    ["a missing argument", ["pull"], /missing required argument 'ref'/],
    [
      "a bad value",
      ["serve", "--max-concurrent", "many"],
      /--max-concurrent "many": expected a whole number/,
    ],
    ["A15 an open listener", ["serve", "--listen", "0.0.0.0:80"], /--listen 0\.0\.0\.0:80: other machines/],
    ["a reference nobody can read", ["pull", "name"], /Cannot read 'name': write hf:/],
    ["a digest of the wrong length", ["pull", "a/b", "--sha256", "abc"], /--sha256 "abc": expected 64/],
    ["one digest for two", ["pull", "a/b", "c/d", "--sha256", "a".repeat(64)], /--sha256: give it with one/],
    [
      "a token file that is not there",
      ["pull", "a/b", "--token-file", "/none"],
      /--token-file \/none: ENOENT/,
    ],
    ["a backup to nowhere", ["backup"], /missing required argument 'file'/],
    ["an unknown shell", ["completion", "cmd"], /bash, zsh, fish/],
  ];
  test.each(bad)("%s is 2", async (_, argv, message) => {
    const { code, err } = await runCommand(...argv);
    expect(err).toMatch(message);
    expect(code).toBe(2);
  });
});

describe("completion", () => {
  test("the bash script is valid and completes commands and flags", async () => {
    const { out } = await runCommand("completion", "bash");
    const ask = (words: string[]) => {
      const script = `${out}\nCOMP_WORDS=(${words.map((w) => `'${w}'`).join(" ")}); COMP_CWORD=${words.length - 1}
        _modelhaul; printf '%s ' "\${COMPREPLY[@]}"`;
      return Bun.spawnSync(["bash", "-c", script]).stdout.toString().trim();
    };
    expect(ask(["modelhaul", "pa"])).toBe("pause");
    expect(ask(["modelhaul", "serve", "--max"])).toBe("--max-concurrent");
  });

  test("zsh and fish scripts name every command", async () => {
    for (const shell of ["zsh", "fish"]) {
      const { out, code } = await runCommand("completion", shell);
      expect(code).toBe(0);
      for (const name of ["serve", "pull", "completion"]) expect(out).toContain(name);
    }
  });
});
