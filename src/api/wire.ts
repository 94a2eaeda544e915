import { type ObjectOptions, type TProperties, type TSchema, Type } from "@sinclair/typebox";

// TypeBox's own `Type`, not Elysia's `t`: that one takes "5" for an integer (F138).

/** An object in which members we do not know are ignored (F142); Elysia takes any other schema as closed. */
export const open = <T extends TProperties>(properties: T, options: ObjectOptions = {}) =>
  Type.Object(properties, { additionalProperties: true, ...options });

export const text = (description: string, maxLength = 4096) => Type.String({ maxLength, description });

/** A whole number that JSON carries exactly. */
export const whole = (description: string, minimum = 0, maximum = Number.MAX_SAFE_INTEGER) =>
  Type.Integer({ minimum, maximum, description });

/** One of these words; for answers only, since it is not checked. */
export const word = (words: readonly string[], description?: string) =>
  Type.Unsafe<string>({ type: "string", enum: [...words], ...(description ? { description } : {}) });

/** Schema of a shared component, by name; the document defines it once. */
export const ref = (name: string): TSchema => Type.Unsafe<unknown>({ $ref: `#/components/schemas/${name}` });
