import { Problem } from "./problem.ts";

const TARGET_LIMIT = 8192;
const CONTROL = /[\u0000-\u001f\u007f]/;

/**
 * Path of a request's URL, still percent-encoded, without query and fragment. Not by `new URL`: a Host header of
 * nonsense makes Bun's `request.url` unparsable (F161).
 */
export function rawPath(url: string): string {
  const scheme = url.indexOf("://");
  const from = scheme < 0 ? 0 : url.indexOf("/", scheme + 3);
  if (from < 0) return "/";
  const [path = ""] = url.slice(from).split(/[?#]/, 1);
  // What a URL parser makes of them (WHATWG URL, 4.4), for a URL that Bun has not parsed: one of CONNECT.
  return path.replaceAll("\\", "/");
}

/** Query of a request's URL with its question mark, or nothing. */
export function rawQuery(url: string): string {
  const [plain = ""] = url.split("#", 1);
  const from = plain.indexOf("?");
  return from < 0 ? "" : plain.slice(from);
}

/** Text of a percent-encoded piece, or undefined when it is not valid UTF-8 so encoded (F147). */
export function decode(piece: string): string | undefined {
  try {
    return decodeURIComponent(piece);
  } catch {
    return undefined;
  }
}

/**
 * Refuses a path or query no route could mean: too long, not valid UTF-8 once decoded, or with control characters
 * (F128, F133, F147).
 */
export function checkTarget(path: string, query: string): void {
  checkPiece("path", path);
  checkPiece("query", query);
}

function checkPiece(name: "path" | "query", piece: string): void {
  const refuse = (why: string) => {
    const code = name === "path" ? "invalid_path_format" : "invalid_request";
    return new Problem(code, `The request ${name} ${why}`, { param: name });
  };
  if (piece.length > TARGET_LIMIT) throw refuse("is too long");
  const plain = decode(piece);
  if (plain === undefined) throw refuse("is not valid percent-encoded UTF-8");
  if (CONTROL.test(plain)) throw refuse("contains a control character");
}

/** Whether `path` is `prefix` or lies below it. */
export function isBelow(path: string, prefix: string): boolean {
  return path === prefix || path.startsWith(prefix.endsWith("/") ? prefix : `${prefix}/`);
}
