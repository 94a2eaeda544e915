import type { Static, TSchema } from "@sinclair/typebox";
import { type TypeCheck, TypeCompiler } from "@sinclair/typebox/compiler";
import type { ValueError } from "@sinclair/typebox/errors";
import { Problem } from "./problem.ts";

/** A compiled check, made when it is first needed: most processes never see values of each kind. Throws `invalid_request`. */
export function checker<T extends TSchema>(schema: T): (value: unknown) => Static<T> {
  let compiled: TypeCheck<T> | undefined;
  return (value) => {
    compiled ??= TypeCompiler.Compile(schema);
    if (compiled.Check(value)) return value;
    throw schemaProblem(schema, compiled.Errors(value).First());
  };
}

/**
 * What a schema found wrong, in words that name only fields of the schema and never repeat what was sent (F164).
 * The param is the deepest field the schema knows.
 */
export function schemaProblem(schema: TSchema, error: ValueError | undefined): Problem {
  if (!error) return new Problem("invalid_request", "The request does not have the form it needs");
  const field = knownField(schema, error.path);
  const what = expectation(error.schema);
  if (field === "") return new Problem("invalid_request", `Expected ${what}`);
  return new Problem("invalid_request", `'${field}' must be ${what}`, { param: field });
}

/** Dotted path of the error as far as the schema names its members. */
function knownField(schema: TSchema, pointer: string): string {
  const names: string[] = [];
  let at: TSchema | undefined = schema;
  for (const name of pointer.split("/").slice(1)) {
    const members: Record<string, TSchema> | undefined = at?.properties;
    if (!members || !Object.hasOwn(members, name)) break;
    names.push(name);
    at = members[name];
  }
  return names.join(".");
}

function expectation(schema: TSchema): string {
  const { type, minimum, maximum, minLength, maxLength, pattern, maxItems } = schema;
  const choices = choicesOf(schema);
  if (choices) return `one of ${choices.join(", ")}`;
  if (type === "integer" || type === "number") {
    const kind = type === "integer" ? "an integer" : "a number";
    if (minimum === undefined && maximum === undefined) return kind;
    if (maximum === undefined || maximum === Number.MAX_SAFE_INTEGER) return `${kind} of at least ${minimum}`;
    return `${kind} between ${minimum} and ${maximum}`;
  }
  if (type === "boolean" || schema["x-boolean"] !== undefined) return "true or false";
  if (type === "string" && pattern !== undefined) return "text of the documented form";
  if (type === "string" && minLength !== undefined) return `text of ${minLength} to ${maxLength} characters`;
  if (type === "string") return maxLength === undefined ? "text" : `text of at most ${maxLength} characters`;
  if (type === "array") return maxItems === undefined ? "a list" : `a list of at most ${maxItems} entries`;
  if (type === "object") return "a JSON object with the documented members";
  return "of the documented form";
}

function choicesOf(schema: TSchema): string[] | undefined {
  if (schema.const !== undefined) return [String(schema.const)];
  const branches: TSchema[] | undefined = schema.anyOf;
  if (!branches?.every((branch) => branch.const !== undefined)) return undefined;
  return branches.map((branch) => String(branch.const));
}
