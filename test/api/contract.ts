import Ajv, { type ValidateFunction } from "ajv";
import type { Answer, Body, Served } from "./support.ts";

/** Checks answers against the OpenAPI document the same server gives out. */
export class Contract {
  readonly #document: Body;
  readonly #ajv = new Ajv({ strict: false, validateFormats: false });
  readonly #compiled = new Map<string, ValidateFunction>();

  private constructor(document: Body) {
    this.#document = document;
    this.#ajv.addSchema({ $id: "openapi", ...document });
  }

  static async of(served: Served): Promise<Contract> {
    return new Contract(await served.api.openapi());
  }

  get operations(): { method: string; path: string; operation: Body }[] {
    return Object.entries<Body>(this.#document.paths).flatMap(([path, item]) =>
      Object.entries<Body>(item).map(([method, operation]) => ({ method, path, operation })),
    );
  }

  /** What keeps a value from being the component of this name; empty when it is one. */
  misfits(component: string, value: unknown): string[] {
    const $ref = `openapi#/components/schemas/${component}`;
    const validate = this.#compiled.get($ref) ?? this.#ajv.compile({ $ref });
    this.#compiled.set($ref, validate);
    if (validate(value)) return [];
    return (validate.errors ?? []).map((error) => `${component}: ${error.instancePath} ${error.message}`);
  }

  /** What is wrong with the answer of this documented path; empty when it is as documented. */
  problems(method: string, path: string, answer: Answer): string[] {
    const operation = this.#document.paths[path]?.[method.toLowerCase()];
    if (!operation) return [`${method} ${path} is not documented`];
    const documented = operation.responses[answer.status] ?? operation.responses.default;
    const schema = documented.content?.["application/json"]?.schema;
    if (!schema) return [];
    const key = JSON.stringify(schema);
    const validate = this.#compiled.get(key) ?? this.#ajv.compile(absolute(schema));
    this.#compiled.set(key, validate);
    if (validate(answer.body)) return [];
    const where = `${method} ${path} ${answer.status}`;
    return (validate.errors ?? []).map((error) => `${where}: ${error.instancePath} ${error.message}`);
  }
}

/** The schema with its references pointing into the document. */
const absolute = (schema: Body): Body =>
  JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"openapi#/components/'));
