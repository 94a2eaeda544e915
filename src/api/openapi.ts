import { COMPONENTS } from "./components.ts";
import { TAGS } from "./doc.ts";
import { type Family, newRoutes } from "./family.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type JsonObject = { [key: string]: Json };

const DOCUMENT_PATH = "/document";

/** The OpenAPI document of the families, generated from their schemas when first asked for. */
export class OpenApi {
  readonly #families: readonly Family[];
  readonly #version: string;
  #text: Promise<string> | undefined;

  constructor(families: readonly Family[], version: string) {
    this.#families = families;
    this.#version = version;
  }

  text(): Promise<string> {
    this.#text ??= generate(this.#families, this.#version).then((document) => JSON.stringify(document));
    return this.#text;
  }
}

async function generate(families: readonly Family[], version: string): Promise<JsonObject> {
  // Loaded when asked for: most starts never need it.
  const { swagger } = await import("@elysiajs/swagger");
  const app = newRoutes().use(
    swagger({
      path: "/page",
      specPath: DOCUMENT_PATH,
      excludeStaticFile: false,
      exclude: ["/page", DOCUMENT_PATH],
      documentation: {
        info: {
          title: "modelhaul",
          version,
          description: "Brings model files from where they are published to where they are run.",
          license: { name: "MIT" },
        },
        tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
      },
    }),
  );
  for (const family of families) app.use(family.routes);
  const answer = await app.handle(new Request(`http://localhost${DOCUMENT_PATH}`));
  return finish((await answer.json()) as JsonObject);
}

/** What the generator gets wrong or leaves out, put right for OpenAPI 3.0.3 (DESIGN §6). */
function finish(document: JsonObject): JsonObject {
  const paths = document.paths as Record<string, Record<string, JsonObject>>;
  for (const operations of Object.values(paths))
    for (const one of Object.values(operations)) finishOperation(one);
  return toVersion3({
    ...document,
    security: [{ bearer: [] }, { apiKey: [] }, { session: [] }],
    components: {
      schemas: COMPONENTS as unknown as JsonObject,
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer" },
        apiKey: { type: "apiKey", in: "header", name: "X-API-Key" },
        session: { type: "apiKey", in: "cookie", name: "modelhaul_session" },
      },
    },
  }) as JsonObject;
}

/** Bodies are JSON and nothing else; parameters carry no more than they may. */
function finishOperation(operation: JsonObject): void {
  const body = operation.requestBody as JsonObject | undefined;
  const media = (body?.content as JsonObject | undefined)?.["application/json"] as JsonObject | undefined;
  if (body && media?.schema !== undefined) body.content = { "application/json": media };
  for (const parameter of (operation.parameters ?? []) as JsonObject[]) {
    if (parameter.description === undefined) delete parameter.description;
    delete parameter.examples;
    parameter.schema = parameterSchema(parameter.schema as JsonObject);
  }
}

/** What arrives as text but means a number or a flag is documented as what it means. */
function parameterSchema(schema: JsonObject): JsonObject {
  if (schema["x-integer"] !== undefined) return { type: "integer", ...(schema["x-integer"] as JsonObject) };
  return schema["x-boolean"] === undefined ? schema : { type: "boolean" };
}

/** JSON Schema to what 3.0.3 has of it: no const, no patternProperties; whole numbers are 64 bits wide. */
function toVersion3(value: Json): Json {
  if (Array.isArray(value)) return value.map(toVersion3);
  if (value === null || typeof value !== "object") return value;
  const words = constants(value);
  if (words) return { ...pick(value, "description"), type: "string", enum: words };
  const { patternProperties, ...rest } = value.type === "integer" ? wide(value) : value;
  const entries = Object.entries(rest).map(
    ([key, member]) => [key, key === "example" ? member : toVersion3(member)] as const,
  );
  const plain: JsonObject = Object.fromEntries(entries);
  if (plain.nullable === true && Array.isArray(plain.enum)) plain.enum = [...plain.enum, null];
  if (patternProperties !== undefined) {
    const [values] = Object.values(patternProperties as JsonObject);
    plain.additionalProperties = toVersion3(values ?? {});
  }
  return plain;
}

/** Byte counts and times exceed 32 bits, which generated clients assume without a format. */
function wide({ maximum, ...schema }: JsonObject): JsonObject {
  if (maximum === undefined || Number(maximum) > 2 ** 31) return { ...schema, format: "int64" };
  return { ...schema, maximum };
}

function constants(schema: JsonObject): Json[] | undefined {
  if (schema.const !== undefined) return [schema.const];
  const branches = schema.anyOf as JsonObject[] | undefined;
  return branches?.every((branch) => branch.const !== undefined)
    ? branches.map((branch) => branch.const as Json)
    : undefined;
}

const pick = (object: JsonObject, key: string): JsonObject =>
  object[key] === undefined ? {} : { [key]: object[key] };
