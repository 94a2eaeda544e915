/** What the first bytes of a file say about it. */
import { DownloadError } from "../core/errors.ts";

/** How many of the first bytes the checks look at. */
export const HEAD_BYTES = 64;

const decoder = new TextDecoder("latin1");
const isPage = (label: string): boolean => /\.x?html?$/i.test(label);

/** By its type, where the name does not promise one. */
export const isWebPage = (label: string, contentType: string | null): boolean =>
  !isPage(label) && /^\s*(text\/html|application\/xhtml\+xml)\b/i.test(contentType ?? "");

export interface Head {
  label: string;
  /** Content-Type of the answer. */
  contentType: string | null;
  /** First bytes of the file, up to {@link HEAD_BYTES}. */
  bytes: Uint8Array;
  /** Size and digest were promised: they judge the content better than its looks do. */
  promised: boolean;
  host: string;
}

/** The error when a web page or a Git LFS pointer came in place of the file (F54, F55). */
export function foreignContent(head: Head): DownloadError | undefined {
  const { label, host } = head;
  const text = decoder.decode(head.bytes);
  if (isPointer(text) && !head.promised)
    return new DownloadError(
      "lfs_pointer",
      `${label}: ${host} sent a Git LFS pointer instead of the file. Ask for the file's resolved or media address.`,
    );
  if (isPage(label) || head.promised) return undefined;
  if (!isWebPage(label, head.contentType) && !/^\s*<(!doctype\s+html|html[\s>])/i.test(text))
    return undefined;
  return new DownloadError(
    "unexpected_content",
    `${label}: ${host} sent a web page instead of the file; a login page, a portal of the network or a wrong address.`,
  );
}

export const isPointer = (text: string): boolean =>
  text.startsWith("version https://git-lfs.github.com/spec/");

/** A note when the first bytes do not fit the file's name; not a failure (F54). */
export function magicWarning(label: string, bytes: Uint8Array): string | undefined {
  const text = decoder.decode(bytes);
  const name = label.toLowerCase();
  if (name.endsWith(".gguf") && !text.startsWith("GGUF")) return "does not begin like a GGUF file";
  if (name.endsWith(".zip") && !text.startsWith("PK")) return "does not begin like a ZIP archive";
  if (name.endsWith(".safetensors") && !isSafetensors(bytes)) return "does not begin like a safetensors file";
  return undefined;
}

/** A length in 8 bytes, then a JSON object of that length. */
function isSafetensors(bytes: Uint8Array): boolean {
  if (bytes.length < 9) return false;
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  return length > 1n && length <= 100_000_000n && bytes[8] === 0x7b;
}
