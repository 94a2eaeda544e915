import Ajv, { type ValidateFunction } from "ajv";
import type { Answer, Body, Served } from "./support.ts";

interface Operation {
  method: string;
  path: string;
  operation: Body;
}

/** Checks answers against the OpenAPI document the same server gives out. */
export class Contract {
  readonly #document: Body;
  readonly #ajv = new Ajv({ strict: false, validateFormats: false });
  readonly #compiled = new Map<string, ValidateFunction>();
  readonly #patterns: { pattern: RegExp; path: string }[];

  constructor(document: Body) {
    this.#document = document;
    this.#ajv.addSchema({ $id: "openapi", ...document });
    // Paths without parameters first: they win.
    this.#patterns = Object.keys(document.paths)
      .sort((a, b) => a.split("{").length - b.split("{").length)
      .map((path) => ({ path, pattern: toPattern(path) }));
  }

  static async of(served: Pick<Served, "api">): Promise<Contract> {
    return new Contract(await served.api.openapi());
  }

  get document(): Body {
    return this.#document;
  }

  get operations(): Operation[] {
    return Object.entries<Body>(this.#document.paths).flatMap(([path, item]) =>
      Object.entries<Body>(item).map(([method, operation]) => ({ method, path, operation })),
    );
  }

  /** The documented operation a request means; undefined when there is none. `target` may have a query. */
  find(method: string, target: string): Operation | undefined {
    const [plain = ""] = target.split("?", 1);
    const verb = method.toLowerCase();
    for (const { pattern, path } of this.#patterns) {
      const operation = pattern.test(plain) ? this.#document.paths[path][verb] : undefined;
      if (operation) return { method, path, operation };
    }
    return undefined;
  }

  /** What keeps a value from being the component of this name; empty when it is one. */
  misfits(component: string, value: unknown): string[] {
    return this.unlike({ $ref: `#/components/schemas/${component}` }, value).map(
      (what) => `${component}: ${what}`,
    );
  }

  /** What keeps a value from fitting a schema of the document; empty when it fits. */
  unlike(schema: Body, value: unknown): string[] {
    const key = JSON.stringify(schema);
    const validate = this.#compiled.get(key) ?? this.#ajv.compile(absolute(schema));
    this.#compiled.set(key, validate);
    if (validate(value)) return [];
    return (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`);
  }

  /** What is wrong with the answer of this documented path; empty when it is as documented, its status included. */
  problems(method: string, path: string, answer: Pick<Answer, "status" | "body">): string[] {
    const operation = this.#document.paths[path]?.[method.toLowerCase()];
    if (!operation) return [`${method} ${path} is not documented`];
    const where = `${method} ${path} ${answer.status}`;
    const documented = operation.responses[answer.status];
    if (!documented) return [`${where} is not documented: ${JSON.stringify(answer.body)}`];
    const schema = documented.content?.["application/json"]?.schema;
    if (!schema || typeof answer.body === "string") return [];
    return this.unlike(schema, answer.body).map((what) => `${where}: ${what}`);
  }
}

/** The schema with its references pointing into the document. */
const absolute = (schema: Body): Body =>
  JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"openapi#/components/'));

function toPattern(path: string): RegExp {
  const parts = path.split("/").map((part) => (part.startsWith("{") ? "[^/]+" : RegExp.escape(part)));
  return new RegExp(`^${parts.join("/")}$`);
}
