/** The routes of an OpenAPI document as text, for `/llms-full.txt`. */

interface Schema {
  $ref?: string;
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
}
interface Content {
  schema?: Schema;
  example?: unknown;
}
type Body = Record<string, Content>;
interface Operation {
  operationId: string;
  tags: string[];
  summary: string;
  description?: string;
  parameters?: { name: string; in: string; required?: boolean; description?: string }[];
  requestBody?: { content: Body };
  responses: Record<string, { description: string; content?: Body }>;
}
/** As much of an OpenAPI document as is told of it. */
export interface Described {
  components?: { schemas?: Record<string, Schema> };
  tags: { name: string; description: string }[];
  paths: Record<string, Record<string, Operation>>;
}

interface Route {
  method: string;
  path: string;
  operation: Operation;
  /** The same without `/v1`. */
  alias: string | undefined;
}

/** Every operation once, by tag: what it takes, answers and refuses. */
export function reference(document: Described): string {
  const routes = routesOf(document);
  const sections = document.tags.flatMap(({ name, description }) => {
    const own = routes.filter(({ operation }) => operation.tags[0] === name);
    return own.length === 0 ? [] : [`### ${description}`, ...own.map((route) => describe(route, document))];
  });
  return sections.join("\n\n");
}

/** A route that is there with and without `/v1` is told once. */
function routesOf({ paths }: Described): Route[] {
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).flatMap(([method, operation]) => {
      if (paths[`/v1${path}`]?.[method]) return [];
      const bare = path.replace(/^\/v1(?=\/)/, "");
      const alias = bare !== path && paths[bare]?.[method] ? bare : undefined;
      return [{ method: method.toUpperCase(), path, operation, alias }];
    }),
  );
}

function describe({ method, path, operation, alias }: Route, document: Described): string {
  const { summary, description, parameters = [], requestBody, responses } = operation;
  const answers = Object.entries(responses);
  const good = answers.filter(([status]) => status.startsWith("2"));
  const refusals = answers.map(([status]) => status).filter((status) => /^[45]/.test(status));
  const lines = [
    ...parameters.map(parameter),
    ...(requestBody ? body(requestBody.content, document) : []),
    ...good.flatMap(([status, answer]) => [
      `- ${status}: ${answer.description}`,
      ...examples(answer.content ?? {}),
    ]),
    `- Refusals: ${refusals.join(", ")}`,
  ];
  const text = [`${summary}.`, description, alias && `Also as \`${alias}\`.`].filter(Boolean).join(" ");
  return [`#### ${method} ${path}`, "", text, "", ...lines].join("\n");
}

function parameter({ name, in: place, required, description }: NonNullable<Operation["parameters"]>[number]) {
  const need = required ? "" : ", optional";
  return `- ${place} \`${name}\`${need}${description ? `: ${description}` : ""}`;
}

function body(content: Body, document: Described): string[] {
  const fields = Object.values(content).flatMap(({ schema }) => fieldsOf(schema, document));
  return [`- Body: ${fields.length > 0 ? fields.join("; ") : "JSON"}`, ...examples(content)];
}

function fieldsOf(schema: Schema | undefined, document: Described): string[] {
  const name = /^#\/components\/schemas\/(.+)$/.exec(schema?.$ref ?? "")?.[1];
  const { required = [], properties = {} } = (name && document.components?.schemas?.[name]) || (schema ?? {});
  return Object.entries(properties).map(([field, { description }]) => {
    const need = required.includes(field) ? " (required)" : "";
    return `\`${field}\`${need}${description ? ` ${description}` : ""}`;
  });
}

function examples(content: Body): string[] {
  return Object.values(content).flatMap(({ example }) => {
    if (example === undefined) return [];
    const text = typeof example === "string" ? example.trim() : JSON.stringify(example);
    return ["", "```", text, "```", ""];
  });
}
