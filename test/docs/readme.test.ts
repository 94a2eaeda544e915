import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { refusedProvider } from "../../src/api/abstractcore/providers.ts";
import { sectionOf, tableOf } from "../../src/api/guide/markdown.ts";
import { STATUS } from "../../src/api/status.ts";
import { fileNameOf } from "../../src/api/wingman/file-name.ts";
import { EXIT } from "../../src/cli/exit.ts";
import { flagName } from "../../src/config.ts";
import { ENGINE_RUNTIMES, OPTIONS, type Options } from "../../src/config-options.ts";
import { parseRef } from "../../src/core/reference.ts";
import { Contract } from "../api/contract.ts";
import { type Served, serve } from "../api/support.ts";
import { commandsOf, flagsIn, type Mention, README, routesIn } from "./page.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

const ROOT = join(import.meta.dir, "../..");
const plain = (text: string): string => text.replaceAll("`", "").replaceAll("\\|", "|");

describe("options", () => {
  const rows = tableOf(sectionOf(README, "Configuration"));
  const names = Object.keys(OPTIONS) as (keyof Options)[];

  test.each(names)("%s stands in the table as the help has it", (name) => {
    const { placeholder, help, foreign } = OPTIONS[name];
    const flag = placeholder === undefined ? flagName(name) : `${flagName(name)} ${placeholder}`;
    const row = rows.find((it) =>
      plain(it.flag ?? "")
        .split(", ")
        .includes(flag),
    );
    expect([flag, row === undefined]).toEqual([flag, false]);
    const standard = /\(default: (.+)\)/.exec(help)?.[1];
    if (standard !== undefined) expect(plain(row?.default ?? "")).toContain(standard);
    if (foreign?.[0]) expect(README).toContain(`\`${foreign[0]}\``);
  });

  test("no other flag is named than there is", () => {
    const { stdout } = Bun.spawnSync([process.execPath, "src/main.ts", "completion", "fish"], { cwd: ROOT });
    const known = [...stdout.toString().matchAll(/ -l (\S+)/g)].map(([, name]) => `--${name}`);
    // Of build.ts, of the hub for trying and of curl.
    const others = ["--all", "--rate", "--unix-socket"];
    expect([...flagsIn(README)].filter((flag) => !known.includes(flag) && !others.includes(flag))).toEqual(
      [],
    );
  });

  test("every command shown is one, and no command is missing", () => {
    const { stdout } = Bun.spawnSync([process.execPath, "src/main.ts", "completion", "bash"], { cwd: ROOT });
    const known = (/words="([^"]+)"/.exec(stdout.toString())?.[1] ?? "").split(" ");
    const lines = commandsOf(README).filter((line) => line.startsWith("modelhaul "));
    // `openapi | completion bash|zsh|fish | version`: alternatives stand between spaces.
    const shown = lines.flatMap((line) => line.replace("modelhaul ", "").split(" | "));
    const words = shown.map((part) => part.trim().split(" ")[0] ?? "");
    expect(new Set(words)).toEqual(new Set(known));
  });
});

describe("R186b providers", () => {
  const rows = tableOf(sectionOf(README, "Providers"));
  const namesOf = (cell = ""): string[] => plain(cell).split(", ");
  let served: Served;
  let sources: string[];
  beforeAll(async () => {
    served = await serve();
    const { body } = await served.call("GET", "/v1/sources");
    sources = body.sources.map(({ name }: { name: string }) => name);
    await served[Symbol.asyncDispose]();
  });

  test("R186b the matrix tells support, progress, method and command line of each", () => {
    expect(Object.keys(rows[0] ?? {})).toEqual([
      "provider",
      "support",
      "progress",
      "method",
      "on the command line",
    ]);
    const supported = rows.filter(({ support = "" }) => !support.startsWith("refused"));
    expect(supported.flatMap(({ provider }) => namesOf(provider))).toEqual(sources);
    for (const row of supported) for (const cell of Object.values(row)) expect(cell).not.toBe("");
  });

  test("R183 R186b those it calls refused are, for that reason", () => {
    const refused = rows.filter(({ support = "" }) => support.startsWith("refused"));
    const names = refused.flatMap(({ provider }) => namesOf(provider));
    expect(names).toEqual(["lmstudio", "openai", "anthropic"]);
    for (const name of names) expect(refusedProvider(name, sources)).toContain("does not support");
    expect(refusedProvider("lmstudio", sources)).toContain("no download API");
    expect(refusedProvider("openai", sources)).toContain("run in its cloud only");
  });

  test("the references of the matrix and of the commands can be read, each for its provider", () => {
    for (const row of rows.filter((it) => it["on the command line"])) {
      const examples = [...(row["on the command line"] ?? "").matchAll(/`([^`…]+)`/g)];
      for (const [, text = ""] of examples) {
        const read = parseRef(text.replace(/\[([^\]]+)\]/g, "$1"));
        expect([text, read.provider ?? "huggingface"]).toEqual([text, plain(row.provider ?? "")]);
      }
    }
    const pulls = commandsOf(README).filter((line) => line.startsWith("modelhaul pull "));
    expect(pulls.length).toBeGreaterThan(2);
    for (const line of pulls)
      expect(() => parseRef((line.split(" ")[2] ?? "").replaceAll("'", ""))).not.toThrow();
  });
});

describe("routes and words", () => {
  let contract: Contract;
  const families = tableOf(sectionOf(README, "You have a client"));
  beforeAll(async () => {
    await using served = await serve();
    contract = await Contract.of(served);
  });

  const isThere = ({ method, path }: Mention): boolean =>
    ["get", "post", "put", "patch", "delete"].some(
      (verb) => (method ?? verb).toLowerCase() === verb && contract.find(verb, path) !== undefined,
    );

  test("every route the README names is in the OpenAPI document", () => {
    // The alias itself, which is no route.
    const named = routesIn(README).filter(({ path }) => path !== "/v1");
    expect(named.length).toBeGreaterThan(40);
    expect(named.filter((mention) => !isThere(mention))).toEqual([]);
  });

  test("every group of routes in the OpenAPI document is in the README", () => {
    const groupOf = (path: string): string => {
      const [, first = "", second = ""] = path.replace(/^\/v1(?=\/)/, "").split("/");
      return first === "api" ? `/api/${second}` : `/${first}`;
    };
    const named = new Set(routesIn(README).map(({ path }) => groupOf(path)));
    const all = new Set(Object.keys(contract.document.paths).map(groupOf));
    expect([...all].filter((group) => !named.has(group))).toEqual([]);
  });

  test("R186b each family has a row, and a section that it leads to", () => {
    const links = families.map((row) => /^\[(\w+)\]\(#(\w+)\)/.exec(Object.values(row)[0] ?? ""));
    const names = links.map((link) => link?.[1]);
    expect(names).toEqual(expect.arrayContaining(["native", "local", "kolosal", "wingman", "abstractcore"]));
    for (const link of links) {
      const heading = README.split("\n").find((line) => line.toLowerCase() === `### ${link?.[2]}`);
      expect([link?.[0], heading === undefined]).toEqual([link?.[0], false]);
      expect(sectionOf(README, (heading ?? "").slice(4))).not.toBe("");
    }
  });

  test("R148 the name of a progress file is the one it gets", () => {
    const pair = { repo: "acme/tiny-gguf", file: "tiny-F16-00001-of-00003.gguf" };
    expect(sectionOf(README, "wingman")).toContain(`\`${fileNameOf(pair)}\``);
  });

  test("each engine runtime is told of, the default as such", () => {
    const section = sectionOf(README, "Engines");
    for (const name of ENGINE_RUNTIMES) expect(section).toContain(`- \`${name}\``);
    expect(section).toContain(`- \`${ENGINE_RUNTIMES[0]}\` (default)`);
  });

  test("the exit codes are those of the command line", () => {
    const [, line = ""] = /^Exit codes: (.+)\.$/m.exec(README) ?? [];
    const told = [...line.matchAll(/(?:^|, )(\d+) /g)].map(([, code]) => Number(code));
    expect(told).toEqual(Object.values(EXIT));
  });

  test("the error codes it names are of the closed set, the options of a start request are taken", () => {
    const [, codes = ""] = /closed set \(([^)]+)\)/.exec(README) ?? [];
    const named = [...codes.matchAll(/`(\w+)`/g)].map(([, code = ""]) => code);
    expect(named.length).toBeGreaterThan(2);
    for (const code of named) expect(Object.keys(STATUS)).toContain(code);
    const [start = {}] = tableOf(sectionOf(README, "Native"));
    const { schema } = contract.document.paths["/v1/downloads"].post.requestBody.content["application/json"];
    const words = plain(Object.values(start)[1] ?? "").replace("POST /v1/downloads", "");
    const fields = [...words.matchAll(/[a-z]+(?:_[a-z]+)+|\b(?:url|provider|model|headers|token|engine)\b/g)];
    expect(fields.length).toBeGreaterThan(9);
    for (const [field] of fields) expect(Object.keys(schema.properties)).toContain(field);
  });

  test("links within the page lead somewhere", () => {
    const anchors = [...README.matchAll(/^#+ (.+)$/gm)].map(([, text = ""]) =>
      text.toLowerCase().replaceAll(" ", "-"),
    );
    const links = [...README.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor = ""]) => anchor);
    expect(links.filter((link) => !anchors.includes(link))).toEqual([]);
  });
});
