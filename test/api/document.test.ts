import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { refuseKolosal } from "../../src/api/envelope.ts";
import { type Family, newRoutes } from "../../src/api/family.ts";
import { RouteTable } from "../../src/api/routing.ts";
import { Contract } from "./contract.ts";
import { type Body, KEY, type Served, serve } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

let served: Served;
let document: Body;
let contract: Contract;
beforeAll(async () => {
  served = await serve({ product: { settings: { paused: true } } });
  document = (await served.call("GET", "/openapi.json")).body;
  contract = await Contract.of(served);
});
afterAll(() => served[Symbol.asyncDispose]());

describe("GET /openapi.json", () => {
  test("is a valid document", async () => {
    const { valid, errors } = await new Validator().validate(structuredClone(document));
    expect({ valid, errors }).toEqual({ valid: true, errors: undefined });
    expect(document.openapi).toBe("3.0.3");
  });

  test("each operation has an id of its own, a summary, a known tag and described answers", () => {
    const tags = document.tags.map(({ name }: Body) => name);
    const ids = contract.operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { operation } of contract.operations) {
      expect(operation.operationId).toMatch(/^[a-z][A-Za-z]+$/);
      expect(operation.summary.length).toBeGreaterThan(3);
      expect(tags).toContain(operation.tags[0]);
      expect(Object.keys(operation.responses).length).toBeGreaterThan(3);
      for (const response of Object.values<Body>(operation.responses))
        expect(response.description).toBeString();
    }
  });

  test("bodies are JSON only, integers fit what they hold, no reference leads nowhere", () => {
    const text = JSON.stringify(document);
    expect(text).not.toContain("multipart");
    expect(text).not.toMatch(/"const"|"anyOf"|"patternProperties"|x-integer|x-boolean/);
    for (const [, name] of text.matchAll(/#\/components\/schemas\/(\w+)/g))
      expect(Object.keys(document.components.schemas)).toContain(name as string);
    const { parameters } = document.paths["/v1/downloads"].get;
    expect(parameters.find(({ name }: Body) => name === "limit").schema).toEqual({
      type: "integer",
      minimum: 1,
      maximum: 1000,
    });
    expect(document.components.schemas.Download.properties.progress.properties.total_bytes.format).toBe(
      "int64",
    );
  });

  test("R48 it has every route of the family under both prefixes", () => {
    const paths = Object.keys(document.paths);
    const alias = paths.filter((path) => /^\/downloads|^\/download-progress/.test(path));
    for (const path of alias) expect(paths).toContain(`/v1${path}`);
    expect(alias.length).toBe(11);
  });

  test("a refusal is as documented on every route", async () => {
    await using keyed = await serve({ apiKey: KEY });
    for (const { method, path } of contract.operations) {
      const target = path.replaceAll(/\{\w+\}/g, "nobody");
      const answer = await keyed.call(method.toUpperCase(), target);
      expect(contract.problems(method, path, answer)).toEqual([]);
    }
  });
});

describe("GET /swagger", () => {
  test("loads nothing from elsewhere, and what it loads is there", async () => {
    const page = await served.call("GET", "/swagger");
    const policy = page.headers.get("content-security-policy");
    expect(policy).toStartWith("default-src 'self'");
    expect(policy).not.toContain("unsafe");
    const links: string[] = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link);
    expect(links.length).toBe(3);
    for (const link of links) {
      expect(link).toStartWith("/swagger/");
      expect((await served.call("GET", link)).status).toBe(200);
    }
    expect(page.body).not.toMatch(/<script>|<style>|https?:/);
    expect((await served.call("GET", "/swagger/swagger-ui-bundle.js")).body).toContain("SwaggerUIBundle");
  });
});

describe("the list of families", () => {
  const family = (name: string, path: string): Family => ({
    name,
    prefixes: [],
    routes: newRoutes().get(path, () => "x"),
    refuse: refuseKolosal,
  });

  test("two claims on one method and path are refused, whatever their parameters are called", () => {
    const families = [family("one", "/a/:id"), family("two", "/a/:name")];
    expect(() => new RouteTable(families)).toThrow("Two API families claim GET /a/:name: one and two");
    expect(() => new RouteTable([family("one", "/a/:id"), family("two", "/a/b")])).not.toThrow();
  });
});
