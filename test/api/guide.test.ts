import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { sectionOf, summaryOf, tableOf, withoutFileLinks } from "../../src/api/guide/markdown.ts";
import { reference } from "../../src/api/guide/reference.ts";
import { README, routesIn } from "../docs/page.ts";
import { getText, rawRequest } from "../support/raw.ts";
import { Contract } from "./contract.ts";
import { KEY, type Served, serve } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

const PATHS = ["/llms.txt", "/llms-full.txt"];

let served: Served;
let contract: Contract;
let short: string;
let full: string;
beforeAll(async () => {
  served = await serve({ apiKey: KEY });
  contract = await Contract.of(served);
  [short = "", full = ""] = await Promise.all(
    PATHS.map(async (path) => (await served.call("GET", path)).body as string),
  );
});
afterAll(() => served[Symbol.asyncDispose]());

describe("R186b /llms.txt", () => {
  test("R186b has the form of llmstxt.org: title, summary, notes without headings, lists of links", () => {
    const [title, summary = "", ...rest] = short.split("\n\n");
    expect(title).toBe("# modelhaul");
    expect(summary).toBe(`> ${summaryOf(README)}`);
    const [notes = "", ...sections] = rest.join("\n\n").split(/^## /m);
    expect(notes).not.toMatch(/^#/m);
    expect(sections.map((section) => section.split("\n")[0])).toEqual([
      "Families of the API",
      "Providers",
      "Documents",
      "Optional",
    ]);
    for (const section of sections)
      for (const line of section.trim().split("\n").slice(2))
        expect(line).toMatch(/^- \[[^\]]+\]\(\/[^)]+\): \S/);
  });

  test("R186b names every family and provider of the README, and leads to a section that is there", () => {
    const links = [...short.matchAll(/^- \[([^\]]+)\]\(([^)#]+)(?:#([^)]+))?\)/gm)];
    const families = links.filter(([, , , anchor]) => anchor && anchor !== "providers");
    expect(families.map(([, name]) => name)).toEqual(
      tableOf(sectionOf(README, "You have a client")).map(
        (row) => /\[(\w+)\]/.exec(Object.values(row)[0] ?? "")?.[1],
      ),
    );
    const headings = [...full.matchAll(/^#+ (.+)$/gm)].map(([, text = ""]) => text.toLowerCase());
    for (const [, , path = "", anchor] of links) {
      if (anchor) expect(headings).toContain(anchor);
      expect([path, contract.find("GET", path) === undefined]).toEqual([path, false]);
    }
    for (const { provider = "" } of tableOf(sectionOf(README, "Providers")))
      expect(short).toContain(`- [${provider.replaceAll("`", "")}](`);
  });
});

describe("R186b /llms-full.txt", () => {
  test("R186b has all sections of the README, then every operation of the OpenAPI document, each once", () => {
    const headingsOf = (text: string): string[] => text.split("\n").filter((line) => /^##? /.test(line));
    expect(headingsOf(full)).toEqual([...headingsOf(README), "## Routes"]);
    const routes = sectionOf(full, "Routes");
    const told = [...routes.matchAll(/^#### (\w+) (\S+)$/gm)];
    const aliases = [...routes.matchAll(/^#### (\w+) .+\n\n.*Also as `([^`]+)`/gm)];
    const names = [...told, ...aliases].map(([, method, path]) => `${method} ${path}`);
    const all = contract.operations.map(({ method, path }) => `${method.toUpperCase()} ${path}`);
    expect(names.sort()).toEqual(all.sort());
  });

  test("R186b tells what a route takes, answers and refuses", () => {
    const start = full.slice(full.indexOf("#### POST /v1/downloads\n"));
    const text = start.slice(0, start.indexOf("\n#### "));
    expect(text).toContain("Also as `/downloads`.");
    expect(text).toMatch(/^- Body: .*`repo_id` \S.*; `filename` /m);
    expect(text).toMatch(/^- 202: \S/m);
    expect(text).toMatch(/^- Refusals: .*400, .*409/m);
    expect(sectionOf(full, "GET /v1/downloads")).toMatch(/^- query `limit`, optional: \S/m);
    expect(sectionOf(full, "POST /v1/engines")).toMatch(/"engine_id": ?"/);
  });

  test("links that lead nowhere on this server are not in it", () => {
    const links = [...full.matchAll(/\]\(([^)]+)\)/g)].map(([, link = ""]) => link);
    expect(links.length).toBeGreaterThan(3);
    for (const link of links) expect(link).toMatch(/^(?:https?:|#)/);
  });
});

describe("both", () => {
  test("are plain text, read without the key, by HEAD too, and by no foreign Host", async () => {
    for (const path of PATHS) {
      const { status, headers } = await served.call("GET", path);
      expect([status, headers.get("content-type")]).toEqual([200, "text/plain; charset=utf-8"]);
      expect((await served.call("HEAD", path)).status).toBe(200);
      expect((await served.call("POST", path)).status).toBe(401);
      expect((await rawRequest(served.port, getText(path, { Host: "evil.example" }))).status).toBe(421);
    }
  });

  test("name no route that there is not, and show nothing of this machine", () => {
    for (const guide of [short, full]) {
      const strange = routesIn(guide).filter(
        ({ method, path }) => path !== "/v1" && !contract.find(method ?? "GET", path) && !anyMethod(path),
      );
      expect(strange).toEqual([]);
      expect(guide).not.toContain(served.product.dir);
      expect(guide).not.toContain(KEY);
    }
  });

  const anyMethod = (path: string): boolean =>
    ["POST", "PATCH", "DELETE"].some((method) => contract.find(method, path) !== undefined);
});

describe("reading our own Markdown", () => {
  const page = [
    "# title",
    "first\nparagraph",
    "## one",
    "```sh\n# not a heading\n```",
    "### inside",
    "| a | b \\| c |\n| --- | --- |\n| 1 | `x \\| y` |\n| 2 | |",
    "## two",
    "[file](CHANGELOG.md) [page](https://example.org) [part](#two) [route](/health)",
  ].join("\n\n");

  test("a section ends where the next of its level begins; code has no headings", () => {
    expect(sectionOf(page, "one")).toContain("# not a heading");
    expect(sectionOf(page, "one")).toContain("| 1 |");
    expect(sectionOf(page, "one")).not.toContain("two");
    expect([sectionOf(page, "none"), sectionOf(page, "not a heading")]).toEqual(["", ""]);
  });

  test("the first paragraph, the cells of a table, links to files", () => {
    expect(summaryOf(page)).toBe("first paragraph");
    expect(tableOf(sectionOf(page, "inside"))).toEqual([
      { a: "1", "b | c": "`x | y`" },
      { a: "2", "b | c": "" },
    ]);
    expect(tableOf("no table")).toEqual([]);
    expect(withoutFileLinks(sectionOf(page, "two"))).toBe(
      "file [page](https://example.org) [part](#two) [route](/health)",
    );
  });

  test("a body whose schema is a component is told by its fields", () => {
    const operation = {
      operationId: "x",
      tags: ["t"],
      summary: "S",
      requestBody: { content: { "application/json": { schema: { $ref: "#/components/schemas/B" } } } },
      responses: { 200: { description: "Good" }, 404: { description: "Bad" } },
    };
    const schemas = { B: { properties: { f: { description: "D" }, g: {} }, required: ["g"] } };
    const tags = [{ name: "t", description: "T" }];
    const text = reference({ tags, paths: { "/a": { post: operation } }, components: { schemas } });
    expect(text).toBe(
      "### T\n\n#### POST /a\n\nS.\n\n- Body: `f` D; `g` (required)\n- 200: Good\n- Refusals: 404",
    );
  });
});
