import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { ELSEWHERE, SHAPES, type Shape } from "./refusal-shapes.ts";
import { type Answer, type Body, KEY, type Served, serve } from "./support.ts";

/**
 * Every operation of the OpenAPI document, asked wrongly in every way there is: the answer is that of its family, is
 * no 5xx, and nothing has happened. A new family or route is in here as soon as it is documented.
 */
setDefaultTimeout(60_000);

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const JSON_TYPE = { "Content-Type": "application/json" };
/** An id that nothing has, fit for every route that takes one. */
const NOBODY = "404404";
/** Asks for the key itself. */
const LOGIN = "POST /v1/session";
const TOO_MUCH = `{"more":"${"x".repeat(1 << 20)}"}`;

interface Operation {
  method: string;
  /** As documented. */
  path: string;
  tag: string;
  shape: Shape;
  /** Schema and example of the request body; undefined when it takes none. */
  body: { schema: Body; example: Body } | undefined;
}

let served: Served;
let operations: Operation[];
beforeAll(async () => {
  served = await serve({ product: { settings: { paused: true } } });
  operations = operationsOf((await served.api.openapi()) as Body);
});
afterAll(() => served[Symbol.asyncDispose]());

function operationsOf(document: Body): Operation[] {
  const resolve = (schema: Body): Body =>
    schema?.$ref === undefined
      ? schema
      : schema.$ref
          .split("/")
          .slice(1)
          .reduce((at: Body, key: string) => at[key], document);
  return Object.entries<Body>(document.paths).flatMap(([path, item]) =>
    Object.entries<Body>(item).map(([method, { tags, requestBody }]) => {
      const content = resolve(requestBody)?.content["application/json"];
      const [tag] = tags;
      const schema = resolve(content?.schema);
      const body = content && { schema, example: content.example ?? schema.example };
      return { method: method.toUpperCase(), path, tag, shape: SHAPES[tag] as Shape, body };
    }),
  );
}

const filled = (path: string, id = NOBODY): string => path.replace(/\{\w+\}/g, id);
const pattern = (path: string): RegExp =>
  new RegExp(
    `^${path
      .split(/\{\w+\}/)
      .map(RegExp.escape)
      .join("[^/]+")}$`,
  );

/** Methods that are documented for this path, by whichever of the routes that fit it. */
const documented = (path: string): string[] =>
  operations.filter((operation) => pattern(operation.path).test(path)).map(({ method }) => method);

/** What is wrong with this answer as this family's refusal with one of these statuses. */
function wrongOf(answer: Answer, shape: Shape, statuses: number[]): string[] {
  const text = typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body);
  const isFramework = /elysia|typebox|"on":|<html|<!doctype|\bat .*\.ts\b|\/src\//i.test(text);
  return [
    ...(statuses.includes(answer.status) ? [] : [`status ${answer.status}, not ${statuses.join(" or ")}`]),
    ...shape.problems(answer),
    ...(isFramework ? [`text ${text.slice(0, 200)}`] : []),
  ];
}

interface Case {
  operation: Operation;
  method?: string;
  path: string;
  body?: string | undefined;
  headers?: Record<string, string>;
  statuses: number[];
  /** Field that the refusal must name. */
  field?: string;
}

/** Asks all of it, one after the other; what is wrong is told with what was asked. */
async function refuseAll(cases: Case[]): Promise<void> {
  expect(cases.length).toBeGreaterThan(0);
  const wrong: string[] = [];
  for (const { operation, method = operation.method, path, body, headers = {}, statuses, field } of cases) {
    const answer = await served.call(method, path, body, headers);
    const found = wrongOf(answer, operation.shape, statuses);
    if (field !== undefined && found.length === 0 && !operation.shape.names(answer, field))
      found.push(`does not name ${field}: ${JSON.stringify(answer.body)}`);
    if (found.length > 0) wrong.push(`${method} ${path} ${body?.slice(0, 80) ?? ""}: ${found.join("; ")}`);
  }
  expect(wrong).toEqual([]);
}

const writing = (): Operation[] => operations.filter(({ method }) => method !== "GET");
const withBody = (): (Operation & { body: { schema: Body; example: Body } })[] =>
  operations.filter((operation) => operation.body !== undefined) as never;
const withId = (): Operation[] => operations.filter(({ path }) => path.includes("{"));

test("A5 every family has its shape here, and every body an example to spoil", () => {
  expect([...new Set(operations.map(({ tag }) => tag))].sort()).toEqual(Object.keys(SHAPES).sort());
  for (const { path, body } of withBody())
    expect([path, Object.keys(body.example).length > 0]).toEqual([path, true]);
});

test("R91 R95 A5 A19 unknown paths below each route", async () => {
  const cases = operations.flatMap((operation) =>
    ["/no/such/thing", "/nothing/here/at/all"].map((more) => ({
      operation,
      path: filled(operation.path) + more,
      statuses: [400, 404],
    })),
  );
  await refuseAll(cases);
});

test("A19 unknown paths below each family's prefix, and outside all of them", async () => {
  const shapes: [string, Shape, number][] = [
    ["/downloads/a/b/c", ELSEWHERE, 400],
    ["/download-progress/a/b", ELSEWHERE, 400],
    ["/engines/a/b", ELSEWHERE, 400],
    ["/models/a/b", ELSEWHERE, 400],
    ["/v1", ELSEWHERE, 400],
    ["/v1/nothing", ELSEWHERE, 400],
    ["/local", SHAPES.local as Shape, 404],
    ["/local/nothing", SHAPES.local as Shape, 404],
    ["/api", SHAPES.wingman as Shape, 404],
    ["/api/nothing", SHAPES.wingman as Shape, 404],
    ["/api/models", SHAPES.abstractcore as Shape, 404],
    ["/api/models/nothing", SHAPES.abstractcore as Shape, 404],
    ["/nothing", ELSEWHERE, 404],
    ["/v2/downloads", ELSEWHERE, 404],
    ["/localhost", ELSEWHERE, 404],
    ["/apis", ELSEWHERE, 404],
  ];
  for (const method of METHODS)
    for (const [path, shape, status] of shapes) {
      const answer = await served.call(method, path, method === "GET" ? undefined : "{}", JSON_TYPE);
      expect([method, path, wrongOf(answer, shape, [status])]).toEqual([method, path, []]);
    }
});

test("R91 A5 a method that a path does not take is 405, and says which it takes", async () => {
  const wrong: string[] = [];
  for (const { path: template, shape } of operations) {
    const path = filled(template);
    const known = documented(path);
    for (const method of METHODS.filter((it) => !known.includes(it))) {
      const answer = await served.call(method, path, method === "GET" ? undefined : "{}", JSON_TYPE);
      const allow = answer.headers.get("allow")?.split(", ") ?? [];
      const found = wrongOf(answer, shape, [405]);
      if (!known.every((it) => allow.includes(it)) || allow.includes(method)) found.push(`Allow: ${allow}`);
      if (found.length > 0) wrong.push(`${method} ${path}: ${found.join("; ")}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("R91 A5 malformed JSON, text that is none, and bodies of other types, to each route that writes", async () => {
  const cases = writing().flatMap((operation): Case[] => {
    const path = filled(operation.path);
    const bad = ["{", "nonsense", '{"a":', "[1,]", "\u0000"].map((body) => ({
      operation,
      path,
      body,
      headers: JSON_TYPE,
      statuses: [400],
    }));
    const form = { operation, path, body: "a=b", statuses: [415] };
    return [
      ...bad,
      ...["text/plain", "application/x-www-form-urlencoded"].map((type) => ({
        ...form,
        headers: { "Content-Type": type },
      })),
    ];
  });
  await refuseAll(cases);
});

test("R91 A5 a body of more than 1 MiB, to each route that writes", async () => {
  const cases = writing().map((operation) => ({
    operation,
    path: filled(operation.path),
    body: TOO_MUCH,
    headers: JSON_TYPE,
    statuses: [413],
  }));
  await refuseAll(cases);
});

test("R91 A5 a body that is no object, to each route that takes one", async () => {
  const cases = withBody().flatMap((operation) =>
    ["[]", "5", '"text"', "true"].map((body) => ({
      operation,
      path: filled(operation.path),
      body,
      headers: JSON_TYPE,
      // A command about an id that nothing has may say so first.
      statuses: operation.path.includes("{") ? [400, 404] : [400],
    })),
  );
  await refuseAll(cases);
});

test("R91 A5 each member of each body with a wrong type is 400, and named", async () => {
  const cases = withBody().flatMap((operation) => {
    const { schema, example } = operation.body;
    return Object.entries<Body>(schema.properties ?? {}).map(([field, { type }]) => ({
      operation,
      path: filled(operation.path),
      body: JSON.stringify({ ...example, [field]: type === "integer" || type === "number" ? "x" : 5 }),
      headers: JSON_TYPE,
      statuses: [400],
      field,
    }));
  });
  expect(cases.length).toBeGreaterThan(60);
  await refuseAll(cases);
});

test("R91 A5 each required member that is left out is 400, and named", async () => {
  const cases = withBody().flatMap((operation) => {
    const { schema, example } = operation.body;
    return ((schema.required ?? []) as string[]).map((field) => ({
      operation,
      path: filled(operation.path),
      body: JSON.stringify({ ...example, [field]: undefined }),
      headers: JSON_TYPE,
      statuses: [400],
      field,
    }));
  });
  expect(cases.length).toBeGreaterThan(8);
  await refuseAll(cases);
});

test("R19 R92 R93 A5 an id that nothing has is 404 on each route that takes one", async () => {
  const cases = withId().map((operation) => ({
    operation,
    path: filled(operation.path) + (operation.tag === "hub" ? "?repo=a/b" : ""),
    body: operation.body && JSON.stringify(operation.body.example),
    headers: operation.body ? JSON_TYPE : {},
    // A provider is a word of a closed list, not an id.
    statuses: operation.tag === "hub" ? [400] : [404],
  }));
  await refuseAll(cases);
});

test("R33 R96 A5 A19 an id that is none: empty, badly encoded, with control characters, of thousands of letters", async () => {
  const cases = withId().flatMap((operation) =>
    ["", "%zz", "%c0%af", "a%00b", "x".repeat(9000)].map((id) => ({
      operation,
      path: filled(operation.path, id),
      // The name of a file is no id.
      statuses: operation.path.endsWith("{asset}") ? [400, 404] : [400],
    })),
  );
  await refuseAll(cases);
});

test("A5 a query that is badly encoded, on every route", async () => {
  const cases = operations.map((operation) => ({
    operation,
    path: `${filled(operation.path)}?a=%zz`,
    statuses: [400],
  }));
  await refuseAll(cases);
});

test("R100 A14 A15 without the key 401, from a page elsewhere 403, on every route that the document says it of", async () => {
  await using keyed = await serve({ apiKey: KEY, product: { settings: { paused: true } } });
  const paths: Body = ((await keyed.api.openapi()) as Body).paths;
  const wrong: string[] = [];
  for (const { method, path, shape } of operations) {
    if (`${method} ${path}` === LOGIN) continue;
    const target = filled(path);
    const locked = await keyed.call(method, target);
    const isLocked = "401" in paths[path][method.toLowerCase()].responses;
    const isOpen = locked.status === 200 && !isLocked;
    if (!isOpen) wrong.push(...wrongOf(locked, shape, [401]).map((it) => `${method} ${path} ${it}`));
    if (method === "GET") continue;
    const foreign = await served.call(method, target, undefined, { Origin: "https://evil.example" });
    wrong.push(...wrongOf(foreign, shape, [403]).map((it) => `${method} ${path} ${it}`));
  }
  expect(wrong).toEqual([]);
});

test("nothing was started, changed or logged as a failure of ours by all of that", async () => {
  expect((await served.product.downloads.list({}, { limit: 5 })).items).toEqual([]);
  expect(await served.product.downloads.engines.list()).toEqual([]);
  expect((await served.call("GET", "/v1/settings")).body).toMatchObject({ paused: true, max_concurrent: 3 });
  expect(served.logged.filter((line) => line.startsWith("A request failed"))).toEqual([]);
});
