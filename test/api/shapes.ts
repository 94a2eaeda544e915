// biome-ignore lint/suspicious/noExplicitAny: seeds and answers of many shapes; a wrong shape is what this looks for
type Body = any;

/**
 * What is wrong with `value` against a seed's example, in which each leaf is the name of a type ("string", "integer",
 * "number", "boolean"), several of them or several words ("string|null", "one | two"), or a sample value. `optional`
 * names members that may be left out; more members are welcome (A4).
 */
export function mismatches(shape: Body, value: Body, optional: readonly string[] = [], at = "$"): string[] {
  if (Array.isArray(shape)) {
    if (!Array.isArray(value)) return [`${at} is no list`];
    return value.flatMap((item, index) => mismatches(shape[0], item, optional, `${at}[${index}]`));
  }
  if (typeof shape === "object" && shape !== null) {
    if (typeof value !== "object" || value === null) return [`${at} is no object`];
    return Object.entries(shape).flatMap(([key, inner]) => {
      const member = `${at}.${key}`;
      if (!(key in value)) return optional.includes(key) ? [] : [`${member} is missing`];
      return mismatches(inner, value[key], optional, member);
    });
  }
  const choices = typeof shape === "string" ? shape.split("|").map((choice) => choice.trim()) : [];
  const wanted = choices.length > 1 || TYPES.includes(shape) ? choices : [typeOf(shape)];
  const fits = wanted.some((one) => (TYPES.includes(one) ? isOf(one, value) : value === one));
  return fits ? [] : [`${at} is ${JSON.stringify(value)}, not ${wanted.join(" or ")}`];
}

/** Members of the example, at any depth, that none of these values has. */
export function absent(shape: Body, values: readonly Body[], at = "$"): string[] {
  if (Array.isArray(shape)) return absent(shape[0], values.flat(), `${at}[]`);
  if (typeof shape !== "object" || shape === null) return [];
  return Object.entries(shape).flatMap(([key, inner]) => {
    const found = values.filter((value) => value !== null && typeof value === "object" && key in value);
    if (found.length === 0) return [`${at}.${key}`];
    return absent(
      inner,
      found.map((value) => value[key]),
      `${at}.${key}`,
    );
  });
}

const TYPES = ["string", "integer", "number", "boolean", "null"];
const isOf = (type: string, value: unknown): boolean =>
  type === "number" ? typeof value === "number" : typeOf(value) === type;

function typeOf(value: unknown): string {
  if (value === null) return "null";
  return Number.isInteger(value) ? "integer" : typeof value;
}
