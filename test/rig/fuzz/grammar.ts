import { between, oneOf } from "../../support/random.ts";
import { assemble, encodeOddly, type FuzzRequest } from "./request.ts";
import { deep, HOSTILE, jsonFor, type Random, type Schema, textFor } from "./values.ts";

interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  schema?: Schema;
}

/** What is read of an operation of the OpenAPI document. */
interface Documented {
  parameters?: readonly Parameter[];
  requestBody?: { content?: Readonly<Record<string, { schema?: Schema }>> };
}

export interface OpenApiDocument {
  paths: Readonly<Record<string, Readonly<Record<string, Documented>>>>;
  components?: { schemas?: Readonly<Record<string, Schema>> };
}

export interface Operation {
  method: string;
  path: string;
  parameters: readonly Parameter[];
  body: Schema | undefined;
}

/** Every operation there is, so that a new route is in the fuzz as soon as it is documented. */
export function operationsOf({ paths, components }: OpenApiDocument): Operation[] {
  const resolve = (schema: Schema): Schema =>
    schema.$ref === undefined ? schema : (components?.schemas?.[schema.$ref.split("/").at(-1) ?? ""] ?? {});
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, { parameters = [], requestBody }]) => {
      const schema = requestBody?.content?.["application/json"]?.schema;
      return { method: method.toUpperCase(), path, parameters, body: schema && resolve(schema) };
    }),
  );
}

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PURGE"];
const TYPES = [
  ...[
    "application/json; charset=utf-8",
    "APPLICATION/JSON",
    "application/json;",
    "application/jsonx",
    "text/plain",
  ],
  ...[
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/html",
    "*/*",
    "",
    "application/json\t",
  ],
];
const ACCEPTS = [
  "*/*",
  "application/json",
  "text/event-stream",
  "text/html",
  "application/json;q=0, */*",
  "x",
  ",;q=9",
];
const EXTRAS = [
  ...[
    "Origin: null",
    "Origin: http://evil.example",
    "Origin: http://localhost:3000",
    "Origin: http://localhost@evil.example",
  ],
  ...[
    "Sec-Fetch-Site: cross-site",
    "Sec-Fetch-Site: same-origin",
    "Sec-Fetch-Mode: no-cors",
    "Referer: http://evil.example/",
  ],
  ...[
    "Range: bytes=0-0",
    "Range: bytes=0-1,5-9,2-3",
    "If-None-Match: *",
    "If-Modified-Since: nonsense",
    'If-Range: W/"x"',
  ],
  ...[
    "Last-Event-ID: 1",
    "Last-Event-ID: -1",
    "Last-Event-ID: 99999999999999999999",
    `Last-Event-ID: ${"9".repeat(5000)}`,
  ],
  ...[
    "X-HTTP-Method-Override: DELETE",
    "X-Forwarded-For: 127.0.0.1",
    "X-Forwarded-Host: evil.example",
    "Forwarded: for=x",
  ],
  ...[
    "Cookie: modelhaul_session=%zz; a=b",
    `Cookie: ${"a=b; ".repeat(500)}`,
    "Authorization: Bearer x",
    "X-API-Key: \u00e9",
  ],
  ...[
    "Accept-Encoding: gzip;q=nan",
    "Expect: 100-continue",
    "X-Hub-Token: a b",
    "X-Hub-Token: hf_x",
    "Content-Encoding: gzip",
  ],
  ...[
    "Upgrade: websocket",
    "Upgrade: h2c",
    "Sec-WebSocket-Version: 13",
    "Accept-Language: ../../x",
    "User-Agent: $(id)",
  ],
];
const HOSTS = ["localhost", "127.0.0.1", "[::1]", "localhost.", "LOCALHOST:1", "a"];
const BAD_HOSTS = [
  ...[
    "",
    "a, b",
    "a/b@c<x>",
    "evil.example",
    "localhost:99999",
    "[::1",
    "127.0.0.1.evil.example",
    "user@localhost",
    "ä",
  ],
  ...["localhost/../x", "x".repeat(5000), "localhost#", "localhost?", "%00", "0x7f.1", "::1"],
];

/** A request to one of the documented operations: its values good, broken or missing, its framing right. */
export function grammarRequest(operations: readonly Operation[], next: Random): FuzzRequest {
  const operation = oneOf(next, operations);
  const method = next() < 0.06 ? oneOf(next, METHODS) : operation.method;
  const target = targetOf(operation, next);
  const hasBody = method !== "GET" && method !== "HEAD" && (operation.body !== undefined || next() < 0.1);
  const body = hasBody ? bodyOf(operation.body ?? {}, next) : undefined;
  return assemble(
    "grammar",
    { method, target, headers: headersOf(body, next), isChunked: next() < 0.1, ...(body ? { body } : {}) },
    next,
  );
}

function headersOf(body: Buffer | undefined, next: Random): string[] {
  const host = next() < 0.03 ? oneOf(next, BAD_HOSTS) : oneOf(next, HOSTS);
  const headers = next() < 0.005 ? [] : [`Host: ${Buffer.from(host).toString("latin1")}`];
  if (next() < 0.005) headers.push("Host: localhost");
  if (body !== undefined && next() < 0.97)
    headers.push(`Content-Type: ${next() < 0.06 ? oneOf(next, TYPES) : "application/json"}`);
  if (next() < 0.15) headers.push(`Accept: ${oneOf(next, ACCEPTS)}`);
  while (next() < 0.12) headers.push(oneOf(next, EXTRAS));
  return headers;
}

function targetOf({ path, parameters }: Operation, next: Random): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const schema = parameters.find((one) => one.name === name)?.schema ?? {};
    return next() < 0.02 ? "" : encodeOddly(textFor(name, schema, next), next);
  });
  const twisted = next() < 0.03 ? twistPath(filled, next) : filled;
  const query = queryOf(
    parameters.filter((one) => one.in === "query"),
    next,
  );
  const target = query.length === 0 && next() < 0.97 ? twisted : `${twisted}?${query.join("&")}`;
  return leadsElsewhere(target) ? filled.replace(/[?#].*/, "") : target;
}

function twistPath(path: string, next: Random): string {
  return oneOf(next, [
    `/${path}`,
    `${path}/`,
    `${path}/..`,
    `${path}%2f..%2f..`,
    path.toUpperCase(),
    path.replace("/", "/./"),
    path.replaceAll("/", "//"),
    path.replaceAll("/", "%2f"),
    path.replaceAll("/", "\\"),
    `http://evil.example${path}`,
    `http://localhost${path}`,
    `${path};jsessionid=1`,
    `${path}#fragment`,
    path.slice(1),
    "*",
    `${path}/${"a/".repeat(3000)}`,
  ]);
}

function queryOf(parameters: readonly Parameter[], next: Random): string[] {
  const pairs = parameters.flatMap(({ name, required, schema = {} }) => {
    if (next() > (required ? 0.95 : 0.4)) return [];
    const given =
      schema.type === "integer" ? oneOf(next, ["1", "0", "-1", "1e3", "999999999999999", "x"]) : undefined;
    const pair = `${name}=${encodeOddly(given ?? textFor(name, schema, next), next)}`;
    return next() < 0.05 ? [pair, `${name}=${encodeOddly(oneOf(next, HOSTILE), next)}`] : [pair];
  });
  if (next() < 0.06)
    pairs.push(`${encodeOddly(oneOf(next, HOSTILE), next)}=${encodeOddly(oneOf(next, HOSTILE), next)}`);
  if (next() < 0.02)
    pairs.push(
      oneOf(next, ["__proto__[a]=1", "a[]=1&a[]=2", "a[b][c]=1", "&&&", "=", "x=%zz", "?", "a".repeat(9000)]),
    );
  return pairs;
}

/** Listing an Ollama model asks whatever server its name begins with: no request of ours may leave this machine. */
function leadsElsewhere(target: string): boolean {
  return /ollama-registry/i.test(target) && /repo=[^&]*(?:\/|%2f|%252f)[^&]*(?:\/|%2f|%252f)/i.test(target);
}

function bodyOf(schema: Schema, next: Random): Buffer {
  const text = jsonFor("body", { ...schema, type: schema.type ?? "object" }, next);
  const kind = next();
  if (kind < 0.9) return Buffer.from(text);
  if (kind < 0.92) return Buffer.from(text.slice(0, between(next, 0, text.length)));
  if (kind < 0.94) return Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(text)]);
  if (kind < 0.96)
    return Buffer.concat([Buffer.from('{"url":"'), Buffer.from([0xff, 0xfe, 0xc0]), Buffer.from('"}')]);
  if (kind < 0.98) return Buffer.from(`${text}${oneOf(next, [text, "}", "\u0000", " ", "//x"])}`);
  if (kind < 0.985) return Buffer.from(deep(between(next, 60, 70_000)));
  if (kind < 0.986) return Buffer.alloc(oneOf(next, [1_048_575, 1_048_576, 1_048_577, 1_300_000]), 0x20);
  return Buffer.from(oneOf(next, ["", " ", "null", "[]", '"x"', "5", "a=b", "<x/>", "{}", "\u0000"]));
}
