import { DownloadError } from "../core/errors.ts";

/** Patterns of one list, and characters of one pattern: bounds what a request can cost (F209). */
const MAX_PATTERNS = 100;
const MAX_PATTERN_LENGTH = 512;

type Token =
  | { kind: "any" }
  | { kind: "one" }
  | { kind: "char"; char: string }
  | { kind: "set"; negated: boolean; ranges: readonly (readonly [string, string])[] };

/** Whether a path fits. */
export type Matcher = (path: string) => boolean;

/**
 * Patterns as Python's `fnmatch` reads them, which is what huggingface_hub promises its users: `*` and `?` cross `/`,
 * `[seq]` and `[!seq]`, case-sensitive, no escape; a trailing `/` means everything in that folder.
 * Matching keeps one place to go back to, so it costs at most path times pattern length. Throws `invalid_request`.
 */
export function compilePatterns(patterns: readonly string[], param: string): Matcher {
  checkPatterns(patterns, param);
  const compiled = patterns.map((p) => tokens(p.endsWith("/") ? `${p}*` : p));
  return (path) => {
    const chars = [...path];
    return compiled.some((pattern) => matches(pattern, chars));
  };
}

/** Throws `invalid_request` for lists or patterns beyond the bounds. */
export function checkPatterns(patterns: readonly string[], param: string): void {
  const fault =
    patterns.length > MAX_PATTERNS
      ? `has more than ${MAX_PATTERNS} patterns`
      : patterns.some((p) => p === "")
        ? "has an empty pattern"
        : patterns.some((p) => p.length > MAX_PATTERN_LENGTH)
          ? `has a pattern longer than ${MAX_PATTERN_LENGTH} characters`
          : undefined;
  if (fault !== undefined)
    throw new DownloadError("invalid_request", `The list "${param}" ${fault}.`, { param });
}

/** A pattern that matches exactly this text. */
export function literalPattern(text: string): string {
  return text.replace(/[[*?]/g, "[$&]");
}

function tokens(pattern: string): Token[] {
  const chars = [...pattern];
  const out: Token[] = [];
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i]!;
    if (char === "*") {
      if (out.at(-1)?.kind !== "any") out.push({ kind: "any" });
    } else if (char === "?") {
      out.push({ kind: "one" });
    } else if (char === "[") {
      const end = closing(chars, i);
      if (end === undefined) {
        out.push({ kind: "char", char });
      } else {
        out.push(set(chars.slice(i + 1, end)));
        i = end;
      }
    } else {
      out.push({ kind: "char", char });
    }
  }
  return out;
}

/** Index of the `]` that ends the set opened at `start`; directly after `[` or `[!` it is a member (fnmatch). */
function closing(chars: readonly string[], start: number): number | undefined {
  let i = start + 1;
  if (chars[i] === "!") i++;
  if (chars[i] === "]") i++;
  const end = chars.indexOf("]", i);
  return end < 0 ? undefined : end;
}

function set(content: readonly string[]): Token {
  const negated = content[0] === "!";
  const members = negated ? content.slice(1) : content;
  const ranges: [string, string][] = [];
  for (let i = 0; i < members.length; i++) {
    const from = members[i]!;
    const isRange = members[i + 1] === "-" && i + 2 < members.length;
    ranges.push([from, isRange ? members[i + 2]! : from]);
    if (isRange) i += 2;
  }
  return { kind: "set", negated, ranges };
}

function fits(token: Token, char: string): boolean {
  if (token.kind === "char") return token.char === char;
  if (token.kind !== "set") return true;
  const code = char.codePointAt(0)!;
  const inside = token.ranges.some(
    ([from, to]) => from.codePointAt(0)! <= code && code <= to.codePointAt(0)!,
  );
  return inside !== token.negated;
}

/** Greedy match that only ever returns to the last `*`: an earlier one could not do better. */
function matches(pattern: readonly Token[], text: readonly string[]): boolean {
  let p = 0;
  let star = -1;
  let resume = 0;
  for (let i = 0; i < text.length; ) {
    const token = pattern[p];
    if (token?.kind === "any") {
      star = p++;
      resume = i;
    } else if (token && fits(token, text[i]!)) {
      p++;
      i++;
    } else if (star >= 0) {
      p = star + 1;
      i = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[p]?.kind === "any") p++;
  return p === pattern.length;
}
