import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Contract } from "./contract.ts";
import { blocks, seed } from "./seeds.ts";
import { type Body, KEY, type Served, serve } from "./support.ts";

/** The machine may be busy. */
setDefaultTimeout(30_000);

/** The tag of each family's routes; streams of the kolosal and the native family stand under `live`. */
const TAGS: Record<string, readonly string[]> = {
  downloads: ["downloads", "live"],
  engines: ["engines"],
  models: ["models"],
  history: ["history"],
  live: ["live"],
  local: ["local"],
  settings: ["settings"],
  sources: ["hub"],
  references: ["hub"],
  guide: ["service"],
  files: ["files"],
  session: ["session"],
  abstractcore: ["abstractcore"],
  wingman: ["wingman"],
  service: ["service", "files"],
};

let served: Served;
let contract: Contract;
beforeAll(async () => {
  served = await serve({ apiKey: KEY, product: { settings: { paused: true } } });
  contract = await Contract.of(served);
});
afterAll(() => served[Symbol.asyncDispose]());

interface Route {
  family: string;
  method: string;
  /** As the document writes it. */
  path: string;
  operation: Body;
}

const routes = (): Route[] =>
  served.api.routes().map(({ family, method, path }) => {
    const written = path.replaceAll(/:(\w+)/g, "{$1}");
    return {
      family,
      method,
      path: written,
      operation: contract.document.paths[written]?.[method.toLowerCase()],
    };
  });

/** Each route with what `wrong` finds in it. */
const faults = (wrong: (route: Route) => string[]): string[] =>
  routes().flatMap((route) => wrong(route).map((what) => `${route.method} ${route.path}: ${what}`));

const contents = (part: Body): [string, Body][] => Object.entries<Body>(part?.content ?? {});

/** The example of a media type: its own, or its schema's, or that of the component it names. */
function exampleOf({ schema, example }: Body): unknown {
  if (example !== undefined) return example;
  const name = schema?.$ref?.replace("#/components/schemas/", "");
  return name === undefined ? schema?.example : contract.document.components.schemas[name]?.example;
}

describe("every registered route", () => {
  test("is in the document, and nothing else is; the document is valid", async () => {
    expect(routes().length).toBeGreaterThan(70);
    expect(new Set(routes().map(({ family }) => family))).toEqual(new Set(Object.keys(TAGS)));
    expect(faults(({ operation }) => (operation ? [] : ["not documented"]))).toEqual([]);
    const known = new Set(routes().map(({ method, path }) => `${method.toLowerCase()} ${path}`));
    const invented = contract.operations.filter(({ method, path }) => !known.has(`${method} ${path}`));
    expect(invented.map(({ method, path }) => `${method} ${path}`)).toEqual([]);
    const { valid, errors } = await new Validator().validate(structuredClone(contract.document));
    expect({ valid, errors }).toEqual({ valid: true, errors: undefined });
  });

  test("has an operation id of its own, a summary and the tag of its family", () => {
    const ids = routes().map(({ operation }) => operation.operationId);
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
    expect(
      faults(({ family, operation: { operationId, summary, tags } }) => [
        ...(/^[a-z][A-Za-z]+$/.test(operationId) ? [] : [`operation id ${operationId}`]),
        ...(summary?.length > 3 ? [] : ["no summary"]),
        ...(tags.length === 1 && TAGS[family]?.includes(tags[0]) ? [] : [`tags ${tags}`]),
      ]),
    ).toEqual([]);
  });

  test("describes each of its parameters and its body", () => {
    expect(
      faults(({ path, operation: { parameters = [], requestBody } }) => [
        ...[...path.matchAll(/\{(\w+)\}/g)].flatMap(([, name]) =>
          parameters.some((one: Body) => one.in === "path" && one.name === name && one.required)
            ? []
            : [`parameter ${name} is missing`],
        ),
        ...parameters.flatMap((one: Body) =>
          one.schema?.type === undefined || (one.description ?? one.schema.description) === undefined
            ? [`parameter ${one.name} is not described`]
            : [],
        ),
        ...contents(requestBody).flatMap(([type, { schema }]) =>
          type === "application/json" && schema !== undefined ? [] : [`body is ${type}`],
        ),
      ]),
    ).toEqual([]);
    // Those whose body a handler reads, by method; the rest are commands without one.
    const bodied = routes().filter(({ operation }) => operation.requestBody);
    const without = (path: string) => path.replace(/^\/v1\/(downloads|engines|models)/, "/$1");
    expect([...new Set(bodied.map(({ method, path }) => `${method} ${without(path)}`))].sort()).toEqual([
      "PATCH /downloads/{id}",
      "PATCH /v1/settings",
      "POST /api/download",
      "POST /downloads",
      "POST /engines",
      "POST /local/download",
      "POST /models",
      "POST /v1/references",
      "POST /v1/session",
    ]);
  });

  test("has a schema for each answer with content, good or bad, and an example that fits it", () => {
    expect(
      faults(({ operation: { requestBody, responses } }) => {
        const wanted = Object.entries<Body>(responses).filter(([status]) => !["101", "204"].includes(status));
        const parts: [string, Body][] = [["request", requestBody], ...wanted];
        return parts.flatMap(([where, part]) => {
          if (part === undefined) return [];
          const media = contents(part);
          if (media.length === 0) return [`${where} has no content`];
          return media.flatMap(([type, one]) => {
            if (one.schema === undefined) return [`${where} ${type} has no schema`];
            if (type !== "application/json" && type !== "text/event-stream") return [];
            const example = exampleOf(one);
            if (example === undefined) return [`${where} ${type} has no example`];
            return contract.unlike(one.schema, example).map((what) => `${where} example: ${what}`);
          });
        });
      }),
    ).toEqual([]);
  });
});

describe("whatever is sent to it", () => {
  const bearer = { Authorization: `Bearer ${KEY}` };
  const json = { ...bearer, "Content-Type": "application/json" };
  /** What may go wrong before and in a handler: `[name, body, headers]`. `call` fails on an undocumented status or body. */
  const provocations: [string, unknown, Record<string, string>][] = [
    ["no key", undefined, {}],
    ["another host", undefined, { ...bearer, Host: "elsewhere.example" }],
    ["a malformed host", undefined, { ...bearer, Host: "a b" }],
    [
      "a session cookie that is none",
      undefined,
      { Cookie: "modelhaul_session=x", Origin: "http://evil.example" },
    ],
    ["nobody's id", undefined, bearer],
    ["malformed JSON", "{", json],
    ["a body that is no object", "[1]", json],
    ["another type", "x=1", { ...bearer, "Content-Type": "application/x-www-form-urlencoded" }],
    ["an oversized body", " ".repeat((1 << 20) + 1), json],
    [
      "members of wrong types",
      {
        url: 5,
        repo_id: [],
        filename: 1,
        model_id: {},
        engine_id: 1,
        model_path: 2,
        max_concurrent: "x",
        priority: "x",
        key: 1,
        ModelRepo: 4,
      },
      json,
    ],
  ];

  test.each(provocations)("R91-R98 A5 A19 every status of %s is documented", async (_, body, headers) => {
    const seen = new Set<number>();
    for (const { method, path } of routes()) {
      const target = path.replaceAll(/\{\w+\}/g, "nobody");
      // A stream that opens does not end.
      const opens =
        /^\/v1\/(events|ws)$|download\/status$/.test(path) &&
        headers.Authorization !== undefined &&
        headers.Host === undefined;
      if (method === "GET" && (body !== undefined || opens)) continue;
      const answer = await served.call(method, target, body, headers);
      const documented = contract.find(method, target)?.operation.responses;
      expect([method, target, Object.keys(documented)]).toEqual([
        method,
        target,
        expect.arrayContaining([String(answer.status)]),
      ]);
      seen.add(answer.status);
    }
    expect([...seen].some((status) => status >= 400)).toBe(true);
    expect([...seen].filter((status) => status >= 500)).toEqual([]);
  });
});

describe("the examples are the seeds' own", () => {
  /** What is in a seed's sample but not so in ours. */
  function lacks(sample: Body, ours: Body, at = "$"): string[] {
    if (Array.isArray(sample))
      return sample.flatMap((item, index) => lacks(item, ours?.[index], `${at}[${index}]`));
    if (typeof sample === "object" && sample !== null)
      return Object.entries(sample).flatMap(([key, inner]) => lacks(inner, ours?.[key], `${at}.${key}`));
    return sample === ours ? [] : [`${at}: ${JSON.stringify(ours)} is not ${JSON.stringify(sample)}`];
  }
  const parsed = (number: string): Body[] =>
    blocks(seed(number) ?? "", "json").map((code) => JSON.parse(code.replace(/ \/\/ .*$/gm, "")));
  const schema = (name: string): Body => contract.document.components.schemas[name].example;
  const operation = (method: string, path: string): Body => contract.document.paths[path][method];
  const media = (part: Body): unknown => exampleOf(part.content["application/json"]);

  test.skipIf(seed("000") === undefined)("R1 R2 R10-R18 seed 000", () => {
    const [request, response, status, cancelled] = parsed("000");
    expect(lacks(request, schema("LocalDownloadRequest"))).toEqual([]);
    expect(lacks(response, schema("LocalDownloadResponse"))).toEqual([]);
    expect(lacks(status, schema("LocalDownloadStatus"))).toEqual([]);
    expect(lacks(cancelled, schema("LocalCancellation"))).toEqual([]);
  });

  test.skipIf(seed("001") === undefined)("R29-R31 R34-R38 seed 001", () => {
    const [progress, list, add, started] = parsed("001");
    expect(lacks(progress, media(operation("get", "/v1/download-progress/{id}").responses[200]))).toEqual([]);
    expect(lacks(list, media(operation("get", "/downloads").responses[200]))).toEqual([]);
    const post = operation("post", "/engines");
    expect(Object.keys(media(post.requestBody) as Body)).toEqual(Object.keys(add));
    const ours = media(post.responses[202]) as Body;
    expect(Object.keys(ours)).toEqual(Object.keys(started));
    for (const name of ["message", "download_status", "note"]) expect(ours[name]).toBe(started[name]);
  });

  test.skipIf(seed("003") === undefined)("R149 seed 003", () => {
    expect(lacks(parsed("003")[0], media(operation("post", "/api/download").responses[202]))).toEqual([]);
  });

  test.skipIf(seed("004") === undefined)("R166 R175 seed 004", () => {
    const { example } = operation("get", "/api/models/download").responses[200].content["text/event-stream"];
    const { downloaded_bytes: done, total_bytes: total, percent, message } = schema("ModelProgress");
    for (const words of ["Pulling llama3:8b from Ollama...", "Successfully pulled llama3:8b", message]) {
      expect(seed("004")).toContain(words);
      expect(example).toContain(words);
    }
    expect(seed("004")).toContain(`Progress: ${percent}%\n  Downloaded: ${done} / ${total} bytes`);
  });
});
