// biome-ignore lint/suspicious/noExplicitAny: seeds and answers of many shapes; a wrong shape is what this looks for
type Body = any;

/**
 * What is wrong with `value` against a seed's example, in which each leaf is the name of a type ("string", "integer",
 * "number", "boolean") or a sample value. `optional` names members that may be left out; more members are welcome (A4).
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
  const wanted = ["string", "integer", "number", "boolean"].includes(shape) ? shape : typeOf(shape);
  const fits = wanted === "number" ? typeof value === "number" : typeOf(value) === wanted;
  return fits ? [] : [`${at} is ${JSON.stringify(value)}, not ${wanted}`];
}

const typeOf = (value: unknown): string => (Number.isInteger(value) ? "integer" : typeof value);
