import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Titles by what declares them. */
const DECLARES = /(?<![\w.$])(describe|test|it)(?=[.(])/g;
/** What stands in a file that never runs. */
const NEVER = new Set(["skip", "todo"]);
const PAIRS: Record<string, string> = { "(": ")", "[": "]", "{": "}" };

export interface Title {
  file: string;
  /** The literal as it stands, with `${…}` and `%s`; of an `each` also the text of its table. */
  text: string;
}

/** Titles of the `describe`, `test` and `it` of every test file below `root`, never run ones left out. */
export function titlesBelow(root: string): Title[] {
  const files = [...new Bun.Glob("**/*.{ts,tsx}").scanSync(root)].sort();
  return files.flatMap((file) =>
    titlesOf(readFileSync(join(root, file), "utf8")).map((text) => ({ file, text })),
  );
}

/** Titles of one file's source text. */
export function titlesOf(source: string): string[] {
  const code = blankComments(source);
  return [...code.matchAll(DECLARES)].flatMap(({ 0: word, index }) => titleAt(code, index + word.length));
}

/** The title behind `test`, its modifiers and their arguments: `.each([…])`, `.skipIf(…)`. */
function titleAt(code: string, start: number): string[] {
  let at = start;
  let table = "";
  for (;;) {
    const modifier = /^\.(\w+)/.exec(code.slice(at));
    if (!modifier) break;
    const [all, name = ""] = modifier;
    if (NEVER.has(name)) return [];
    at += all.length;
    // `test.only("…")` has its title next, `test.each(…)("…")` its table first.
    if (code[at] !== "(" || (name !== "each" && name !== "skipIf" && name !== "if")) continue;
    const end = closing(code, at);
    if (name === "each") table = literalsOf(code.slice(at, end)).join(" ");
    at = end + 1;
  }
  if (code[at] !== "(") return [];
  const [open] = /^\s*/.exec(code.slice(at + 1)) ?? [""];
  const title = literalAt(code, at + 1 + open.length);
  if (title === undefined) return [];
  return [/%[a-z]/.test(title) && table ? `${title} ${table}` : title];
}

/** The literal that begins here. */
function literalAt(code: string, at: number): string | undefined {
  const quote = code[at];
  if (quote !== '"' && quote !== "'" && quote !== "`") return undefined;
  return code.slice(at + 1, endOfLiteral(code, at));
}

function literalsOf(code: string): string[] {
  const found: string[] = [];
  for (let at = 0; at < code.length; at++) {
    const text = literalAt(code, at);
    if (text === undefined) continue;
    found.push(text);
    at += text.length + 1;
  }
  return found;
}

/** Index of the quote that ends the literal which begins at `at`. */
function endOfLiteral(code: string, at: number): number {
  const quote = code[at];
  for (let end = at + 1; end < code.length; end++) {
    if (code[end] === "\\") end++;
    else if (quote === "`" && code.startsWith("${", end)) end = closing(code, end + 1);
    else if (code[end] === quote) return end;
  }
  return code.length;
}

/** Index of the bracket that closes the one at `at`; brackets within literals do not count. */
function closing(code: string, at: number): number {
  const open = code[at] ?? "";
  let depth = 0;
  for (let end = at; end < code.length; end++) {
    const char = code[end] ?? "";
    if (char === '"' || char === "'" || char === "`") end = endOfLiteral(code, end);
    else if (char === open) depth++;
    else if (char === PAIRS[open] && --depth === 0) return end;
  }
  return code.length;
}

/** Lines that are comments, emptied: a title in one declares nothing. */
const blankComments = (source: string): string => source.replace(/^\s*(?:\/\/|\/?\*).*$/gm, "");
