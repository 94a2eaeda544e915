import { between, oneOf } from "../../support/random.ts";

type Random = () => number;

/** Names as hubs have them; every one of them is good. */
export const ORDINARY = [
  "model.gguf",
  ".gitattributes",
  "config.json",
  "tiny-Q4_K_M.gguf",
  "model-00001-of-00002.safetensors",
  "file name (1).gguf",
  "-rf",
  "~",
  "...gguf",
  "com10",
  "console.log",
  "100%.txt",
  "モデル.gguf",
  "ümlaut.json",
  "a+b&c=d.bin",
] as const;

/** Pieces that mean something to some file system, decoder or shell. */
const PIECES = [
  ...[
    "..",
    ".",
    "...",
    "~",
    "-",
    " ",
    "\t",
    "/",
    "//",
    "\\",
    "\\\\",
    ":",
    "::$DATA",
    "|",
    "<",
    ">",
    "?",
    "*",
  ],
  ...["%2e", "%2E%2e", "%2f", "%2F", "%5c", "%5C", "%00", "%252f", "%c0%af", "%zz", "%u2215", "+"],
  ...["\u0000", "\u0001", "\n", "\r\n", "\u001b[2J", "\u007f", "\u0085", "\u009f", "\u2028", "\u2029"],
  ...["\u200b", "\u200d", "\u200f", "\u202a", "\u202e", "\u2066", "\u2069", "\ufeff", "\u00ad", "\u034f"],
  ...[
    "\u180e",
    "\u3164",
    "\ufff9",
    "\u{e0041}",
    "\u{1d173}",
    "\ud800",
    "\udfff",
    "\uff0e\uff0e",
    "\uff0f",
    "\u2215",
  ],
  ...["\u2024", "\u29f8", "\uff3c", "\ufe68", "\u00a0", "\u2000", "\u3000", "\u0301", "\u0345", "\u212a"],
  ...[
    "CON",
    "con",
    "PRN",
    "Aux",
    "nul",
    "COM1",
    "com0",
    "com\u00b9",
    "LPT9",
    "lpt\u00b3",
    "CONIN$",
    "conout$",
    "CLOCK$",
  ],
  ...[
    ".part",
    ".PART",
    ".gguf",
    ".json",
    ".lock",
    ".git",
    "~1",
    "PROGRA~1",
    "desktop.ini",
    ".copy.part",
    ".link.part",
  ],
  ...[
    "C:",
    "c:",
    "C:\\",
    "\\\\?\\",
    "\\\\.\\",
    "\\\\server\\share",
    "//server/share",
    "file://",
    "etc/passwd",
  ],
  ...[
    "\u00e9",
    "e\u0301",
    "\u00df",
    "\u1e9e",
    "ss",
    "\u0130",
    "i\u0307",
    "\u0131",
    "\u017f",
    "\ufb01",
    "fi",
    "\u03c3",
    "\u03c2",
  ],
  ...[
    "models--a--b",
    "blobs",
    "snapshots",
    "refs",
    "manifests",
    "sha256-",
    "out",
    "up",
    "loop",
    "dangling",
    "in",
  ],
  ...["a", "B", "x", "model", "0", "ab12", "日", "😀", "a.b", "g", "x.part.part"],
];

const HUGE = [
  () => "x".repeat(231),
  () => "ü".repeat(116),
  () => "x".repeat(65_536),
  () => "a/".repeat(10_000),
  () => "../".repeat(500),
  () => `${"d/".repeat(400)}m.gguf`,
  () => "日".repeat(76),
  () => "\u0301".repeat(200),
];

/** One component, or what pretends to be one. */
function segment(next: Random): string {
  if (next() < 0.3) return oneOf(next, ORDINARY);
  if (next() < 0.03) return String.fromCodePoint(between(next, 0, 0x10ffff));
  return Array.from({ length: between(next, 1, 4) }, () => oneOf(next, PIECES)).join("");
}

/** A path, a name or a file of some server's own choice: mostly hostile, now and then just odd. */
export function hostile(next: Random): string {
  if (next() < 0.004) return oneOf(next, HUGE)() + (next() < 0.5 ? segment(next) : "");
  const text = Array.from({ length: between(next, 1, 4) }, () => segment(next)).join("/");
  if (next() < 0.05) return `/${text}`;
  if (next() < 0.05) return `${text}/`;
  return next() < 0.05 ? text.replaceAll("/", "\\") : text;
}

/** A path that has to be accepted. */
export const ordinary = (next: Random): string =>
  Array.from({ length: between(next, 1, 3) }, () => oneOf(next, ORDINARY)).join("/");

const TWISTS: ((path: string, next: Random) => string)[] = [
  (path) => path.toUpperCase(),
  (path) => path.toLowerCase(),
  (path) => path.normalize("NFD"),
  (path) => path.normalize("NFC"),
  (path, next) => flipOne(path, next),
  (path) => path.replaceAll("ß", "ẞ"),
  (path) => path.replaceAll("ß", "ss"),
  (path) => path.replaceAll("\u1e9e", "ß"),
  (path) => path.replaceAll("fi", "\ufb01"),
  (path) => path.replaceAll("\u03c3", "\u03c2"),
  (path) => path.replaceAll("k", "\u212a"),
  (path) => path.replaceAll("s", "\u017f"),
  (path) => `${path}/below`,
  (path) => path.split("/")[0] ?? path,
];

/** Other spellings of one path: some of them are the same file to some system, some are not. */
export const twisted = (path: string, next: Random): string =>
  Array.from({ length: between(next, 1, 2) }).reduce((text: string) => oneOf(next, TWISTS)(text, next), path);

/** One character in another case. */
function flipOne(path: string, next: Random): string {
  const chars = [...path];
  const at = between(next, 0, chars.length - 1);
  const char = chars[at] ?? "";
  const upper = char.toUpperCase();
  chars[at] = upper === char ? char.toLowerCase() : upper;
  return chars.join("");
}
