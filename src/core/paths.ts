import { parseNamedDigest } from "./digest.ts";
import { DownloadError } from "./errors.ts";

/** End of the names of our partial files; no file from outside may end so (F131). */
export const PART_SUFFIX = ".part";
/** Longest name of one file, in UTF-8 bytes: leaves room for `-2` and the partial suffix within 255 (F122). */
export const MAX_NAME_BYTES = 230;
/** Longest path inside a repository, in UTF-8 bytes. */
export const MAX_PATH_BYTES = 1024;

declare const repoPath: unique symbol;
/**
 * The path of a file in its repository, or a single file name: relative, and safe under the rules of every system. Text
 * becomes one through {@link parseRepoPath} only, which {@link parseFileName} and {@link sanitizeFileName} end in (F124-F134).
 */
export type RepoPath = string & { readonly [repoPath]: true };

/** C0, DEL, C1, line and paragraph separators. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;
/** Marks that reorder or hide text, so that a name reads as another one (F130). */
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\ufff9-\ufffb]/u;
const UNSEEN = new RegExp(`${CONTROL.source}|${INVISIBLE.source}`, "gu");
/** Percent-encoded dot, slash, backslash or NUL: a second decoding somewhere would make a path of it (F127). */
const ENCODED = /%(?:2e|2f|5c|00)/i;
/** Device names of Windows, whatever extension follows (F129). */
const DEVICE = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])[ ]*(?:\.|$)/i;

const encoder = new TextEncoder();
const byteLength = (text: string): number => encoder.encode(text).length;

/** Why one path component cannot be a file name on every system, or undefined when it can. */
function faultOf(name: string): string | undefined {
  if (name === "") return "it has an empty component";
  if (name === "." || name === "..") return `it has the component "${name}"`;
  if (CONTROL.test(name)) return "it has a control character";
  if (INVISIBLE.test(name)) return "it has an invisible or text-reordering character";
  if (!name.isWellFormed()) return "it is not valid Unicode";
  if (name.includes("\\")) return "it has a backslash";
  if (name.includes(":")) return "it has a colon, which names a drive or a stream on Windows";
  if (/[. ]$/.test(name)) return "a component ends with a dot or a space";
  if (DEVICE.test(name)) return "a component is a device name on Windows";
  if (ENCODED.test(name)) return "it has a percent-encoded dot, separator or NUL";
  if (name.toLowerCase().endsWith(PART_SUFFIX))
    return `names ending with ${PART_SUFFIX} are kept for partial files`;
  if (byteLength(name) > MAX_NAME_BYTES) return `a component is longer than ${MAX_NAME_BYTES} bytes`;
  return undefined;
}

/**
 * The one validator of paths inside a repository, from clients and remotes alike: relative, `/` between components,
 * safe under the rules of POSIX and of Windows on every system (F124-F134). Returns the text unchanged.
 * Throws `invalid_path`.
 */
export function parseRepoPath(text: string, param?: string): RepoPath {
  const fault = text.length > MAX_PATH_BYTES ? `it is longer than ${MAX_PATH_BYTES} bytes` : pathFault(text);
  if (fault === undefined) return text as RepoPath;
  throw new DownloadError("invalid_path", `The path ${showName(text)} is not accepted: ${fault}.`, { param });
}

function pathFault(text: string): string | undefined {
  if (text === "") return "it is empty";
  if (text.startsWith("/")) return "it is absolute";
  for (const name of text.split("/")) {
    const fault = faultOf(name);
    if (fault !== undefined) return fault;
  }
  return byteLength(text) > MAX_PATH_BYTES ? `it is longer than ${MAX_PATH_BYTES} bytes` : undefined;
}

declare const modelPath: unique symbol;
/** The path of a file in Ollama's models directory. Text becomes one through {@link parseModelPath} only (F124-F135). */
export type ModelPath = string & { readonly [modelPath]: true };

/**
 * The constructor of `blobs/sha256-{hex}` and `manifests/{host}/{namespace}/{model}/{tag}` (protocols/ollama.md §6),
 * under the rules of {@link parseRepoPath}; only a host may have a colon. Throws `invalid_path`.
 */
export function parseModelPath(text: string): ModelPath {
  const [kind, first = "", ...rest] = text.split("/");
  if (kind === "blobs" && rest.length === 0 && first === `sha256-${parseNamedDigest(first)?.hex}`)
    return text as ModelPath;
  if (kind === "manifests" && rest.length === 3) {
    parseRepoPath([first.replaceAll(":", "_"), ...rest].join("/"));
    return text as ModelPath;
  }
  throw new DownloadError("invalid_path", `${showName(text)} has no place in an Ollama models directory.`);
}

/** A single file name under the same rules. Throws `invalid_path`. */
export function parseFileName(text: string, param?: string): RepoPath {
  if (!text.includes("/")) return parseRepoPath(text, param);
  throw new DownloadError(
    "invalid_path",
    `The file name ${showName(text)} is not accepted: it has a slash.`,
    { param },
  );
}

/**
 * A safe file name out of what a URL or a server proposes: the last component, with everything that
 * {@link parseFileName} refuses taken out. Null when nothing is left (RFC 6266 §4.3, F197).
 */
export function sanitizeFileName(text: string): RepoPath | null {
  let name = (text.slice(0, 4096).toWellFormed().split(/[/\\]/).at(-1) ?? "")
    .replace(UNSEEN, "")
    .replace(/[:<>"|?*]/g, "_")
    .replace(/%(?=2e|2f|5c|00)/gi, "_")
    .trim();
  name = cutName(name).replace(/[. ]+$/, "");
  if (name.toLowerCase().endsWith(PART_SUFFIX))
    name = name.slice(0, -PART_SUFFIX.length).replace(/[. ]+$/, "");
  if (DEVICE.test(name)) name = `_${name}`;
  return faultOf(name) === undefined ? parseFileName(name) : null;
}

/** Cuts the stem, not the extension, until the name fits. */
function cutName(name: string): string {
  const dot = name.lastIndexOf(".");
  const extension = dot > 0 && name.length - dot <= 20 ? name.slice(dot) : "";
  const room = new Uint8Array(MAX_NAME_BYTES - 1 - byteLength(extension));
  const stem = name.slice(0, name.length - extension.length);
  // Takes whole characters only, and looks at each once: the name may be thousands long.
  return stem.slice(0, encoder.encodeInto(stem, room).read) + extension;
}

/**
 * Equal for paths that a case-insensitive or normalising file system would take for one (F123, F132). Small letters
 * first: the capital of `ẞ` is itself, only that of `ß` is `SS`.
 */
export function foldPath(path: string): string {
  return path.normalize("NFC").toLowerCase().toUpperCase().toLowerCase().normalize("NFC");
}

/** A name from outside in quotes for a message: short, and with nothing in it that could reorder or break a line. */
export function showName(text: string): string {
  const short = text.length > 80 ? `${text.slice(0, 60)}…${text.slice(-15)}` : text;
  return `"${short.toWellFormed().replace(UNSEEN, (c) => `\\u${c.codePointAt(0)!.toString(16).padStart(4, "0")}`)}"`;
}
