import type { Pair } from "./pair.ts";

/** Longest name of one file or folder: eCryptfs takes 143 bytes, everybody else more. */
const LONGEST = 143;
const FILE_END = ".json";
/** End of a folder's name that a longer name goes on in. Stands in no encoded name and keeps folders apart from files. */
const FOLDER_END = "~";
const BETWEEN = "=";
/** Room for an end, and for the first character when it has to be escaped. */
const PIECE = LONGEST - FILE_END.length - 2;

const PLAIN = /[a-z0-9._-]/;
/** Hidden, `.` and `..`; and device names of Windows, whatever follows the dot (F129). */
const AWKWARD = /^(?:\.|(?:con|prn|aux|nul|(?:com|lpt)[0-9])\.)/;

const utf8 = new TextEncoder();

/**
 * Name of a pair's progress file, relative to their folder: repository and path, each percent-encoded but for
 * `a-z 0-9 . _ -`, with `=` between. Capitals are encoded too, so that names differ where `A` is `a`. What is longer than
 * a file system takes goes on in folders ending in `~`. {@link pairOfFileName} is its inverse. Text must be well-formed.
 */
export function fileNameOf({ repo, file }: Pair): string {
  const pieces = cut(encode(repo) + BETWEEN + encode(file));
  return pieces
    .map((piece, i) => escapeFirst(piece + (i === pieces.length - 1 ? FILE_END : FOLDER_END)))
    .join("/");
}

/** The pair that has this name; undefined for every name that {@link fileNameOf} does not give. */
export function pairOfFileName(path: string): Pair | undefined {
  const text = path
    .split("/")
    .map((name) => name.replace(/(?:\.json|~)$/, ""))
    .join("");
  const [repo, file, ...more] = text.split(BETWEEN);
  if (repo === undefined || file === undefined || more.length > 0) return undefined;
  try {
    const pair = { repo: decodeURIComponent(repo), file: decodeURIComponent(file) };
    return fileNameOf(pair) === path ? pair : undefined;
  } catch {
    return undefined;
  }
}

function encode(text: string): string {
  const chars = Array.from(utf8.encode(text), (byte) => String.fromCharCode(byte));
  return chars.map((char) => (PLAIN.test(char) ? char : escaped(char))).join("");
}

const escaped = (char: string): string => `%${char.charCodeAt(0).toString(16).padStart(2, "0")}`;

/** Pieces short enough for a name, none of them cut within an escape. */
function cut(text: string): string[] {
  const pieces: string[] = [];
  let rest = text;
  while (rest.length > PIECE) {
    const open = /%[0-9a-f]?$/.exec(rest.slice(0, PIECE));
    const at = open ? open.index : PIECE;
    pieces.push(rest.slice(0, at));
    rest = rest.slice(at);
  }
  return [...pieces, rest];
}

const escapeFirst = (name: string): string =>
  AWKWARD.test(name) ? escaped(name.charAt(0)) + name.slice(1) : name;
