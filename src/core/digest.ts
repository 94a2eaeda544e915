import { DownloadError } from "./errors.ts";

export type DigestAlgorithm = "sha256" | "sha512" | "md5" | "git-sha1";

declare const hex: unique symbol;
/**
 * Lower-case hex digits, as many as the algorithm has, and so fit for the name of a file. No text becomes one but
 * through {@link parseDigest} or {@link knownDigest}: two parsers are how a digest came to be a path (F135).
 */
export type DigestHex = string & { readonly [hex]: true };

/** A promised or computed digest. `git-sha1` is the SHA-1 of a git blob (header and content). */
export interface Digest {
  algorithm: DigestAlgorithm;
  hex: DigestHex;
}

/** A digest as it stands in a row or comes from a hasher, not checked yet. */
export interface UncheckedDigest {
  algorithm: DigestAlgorithm;
  hex: string;
}

const DIGEST_LENGTH: Record<DigestAlgorithm, number> = { sha256: 64, sha512: 128, md5: 32, "git-sha1": 40 };

/** The only constructor of digests from outside text: undefined unless it is exactly hex of the right length (F135). */
export function parseDigest(algorithm: DigestAlgorithm, text: string): Digest | undefined {
  const digits = text.toLowerCase();
  return digits.length === DIGEST_LENGTH[algorithm] && /^[0-9a-f]+$/.test(digits)
    ? { algorithm, hex: digits as DigestHex }
    : undefined;
}

/** A SHA-256 with its name: `sha256:HEX` of manifests and requests, `sha256-HEX` of blobs on disk. As {@link parseDigest}. */
export function parseNamedDigest(text: string): Digest | undefined {
  const [, digits] = /^sha256[:-](.*)$/is.exec(text) ?? [];
  return digits === undefined ? undefined : parseDigest("sha256", digits);
}

/**
 * The constructor for what is ours: rows, and what was just computed. It looks all the same, for a row can be damaged;
 * throws `internal`.
 */
export function knownDigest({ algorithm, hex: text }: UncheckedDigest): Digest {
  const digest = Object.hasOwn(DIGEST_LENGTH, algorithm) ? parseDigest(algorithm, String(text)) : undefined;
  if (digest !== undefined) return digest;
  throw new DownloadError(
    "internal",
    "The record of a file is damaged: its digest is none. Remove the download from the list and start it anew.",
  );
}
