import { posix, win32 } from "node:path";

/**
 * What file systems make of a relative path, said once more from their own rules and with nothing of ours: the fuzzer
 * compares our validators with it.
 */
const POSIX_ROOT = "/srv/models";
const WINDOWS_ROOT = "C:\\srv\\models";
/** Longest name of one file, in bytes. */
const LONGEST = 255;
const DEVICES = new Set(
  [
    "CON PRN AUX NUL CONIN$ CONOUT$".split(" "),
    [..."0123456789\u00b9\u00b2\u00b3"].flatMap((digit) => [`COM${digit}`, `LPT${digit}`]),
  ].flat(),
);

/** Why this path would not become exactly that file below a root of Linux or macOS; undefined when it would. */
export function posixFault(path: string): string | undefined {
  if (path.includes("\0")) return "a NUL ends the name";
  const at = posix.resolve(POSIX_ROOT, path);
  if (!at.startsWith(`${POSIX_ROOT}/`)) return `it leads to ${at}`;
  if (at !== `${POSIX_ROOT}/${path}`) return `it becomes ${at}`;
  if (!path.isWellFormed()) return "it has half a character, which is written as another one";
  return path.split("/").some((name) => Buffer.byteLength(name) > LONGEST) ? "a name is too long" : undefined;
}

/** The same below a root of Windows. */
export function windowsFault(path: string): string | undefined {
  const at = win32.resolve(WINDOWS_ROOT, path);
  if (!at.startsWith(`${WINDOWS_ROOT}\\`)) return `it leads to ${at}`;
  if (at !== `${WINDOWS_ROOT}\\${path.replaceAll("/", "\\")}`) return `it becomes ${at}`;
  for (const name of path.split(/[/\\]/)) {
    if (/[\u0000-\u001f]/.test(name)) return "a control character";
    if (name.includes(":")) return "a colon names a stream or a drive";
    if (/[. ]$/.test(name)) return "dots and spaces at the end are cut off";
    const stem = name.split(".", 1)[0] ?? "";
    if (DEVICES.has(stem.replace(/ +$/, "").toUpperCase())) return `${stem} is a device`;
    if (name.length > LONGEST) return "a name is too long";
  }
  return undefined;
}

/** Why two different paths are one file to some system, or one lies in the other; undefined when they never meet. */
export function clash(one: string, other: string): string | undefined {
  for (const [system, isSame] of Object.entries(SAME)) {
    if (isSame(one, other)) return `one file on ${system}`;
    if (holds(isSame, one, other) || holds(isSame, other, one))
      return `one is a folder of the other on ${system}`;
  }
  return undefined;
}

type Same = (one: string, other: string) => boolean;

const by =
  (key: (path: string) => string): Same =>
  (one, other) =>
    key(one) === key(other);

/** Whether two names are one, by the rules of each kind of file system. */
const SAME: Record<string, Same> = {
  "a plain one": (one, other) => one === other,
  // Unit by unit, by the table of single capitals; nothing is normalised.
  NTFS: by((path) => Array.from({ length: path.length }, (_, i) => capital(path.charAt(i))).join("")),
  // Canonical equivalence, then full case folding.
  APFS: by((path) => fullFold(path.normalize("NFD")).normalize("NFD")),
  // Simple case folding, as the engine of regular expressions knows it.
  "ext4 with casefold": (one, other) =>
    one.length <= 2 * other.length + 2 &&
    new RegExp(`^(?:${RegExp.escape(one.normalize("NFC"))})$`, "iu").test(other.normalize("NFC")),
};

function capital(unit: string): string {
  const upper = unit.toUpperCase();
  return upper.length === 1 ? upper : unit;
}

/** Full case folding of each character by itself: the fold of its capital's small form, `ß` and `ẞ` to `ss`. */
const fullFold = (text: string): string =>
  [...text]
    .map((char) => char.toLowerCase().toUpperCase().toLowerCase().replaceAll("\u03c2", "\u03c3"))
    .join("");

/** Whether `path` lies in a folder that is the same as `folder`. */
function holds(isSame: Same, folder: string, path: string): boolean {
  for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1))
    if (isSame(folder, path.slice(0, slash))) return true;
  return false;
}
