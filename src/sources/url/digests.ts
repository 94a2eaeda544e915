import { type Digest, parseDigest } from "../../core/download.ts";
import type { HttpResponse } from "../../core/ports.ts";

/** One way in which servers promise a digest (protocols/others.md §2.6), best first. */
type Reader = (headers: Headers, whole: boolean) => Digest | undefined;

const READERS: readonly Reader[] = [
  // Of the whole representation, also on a 206 (RFC 9530 §3).
  (headers) => structured(headers.get("repr-digest")),
  // Of the bytes of this message: only a 200 carries all of them (RFC 9530 §2).
  (headers, whole) => (whole ? structured(headers.get("content-digest")) : undefined),
  // RFC 3230: of the whole instance.
  (headers) => plain(headers.get("digest")),
  (headers) => parseDigest("sha256", headers.get("x-checksum-sha256")?.trim() ?? ""),
  // A composite of part digests is no digest of the file.
  (headers) =>
    headers.get("x-amz-checksum-type")?.toUpperCase() === "COMPOSITE"
      ? undefined
      : fromBase64("sha256", headers.get("x-amz-checksum-sha256") ?? ""),
  (headers) =>
    fromBase64("md5", /(?:^|,)\s*md5=([A-Za-z0-9+/=]+)/i.exec(headers.get("x-goog-hash") ?? "")?.[1] ?? ""),
  (headers, whole) => (whole ? fromBase64("md5", headers.get("content-md5")?.trim() ?? "") : undefined),
];

/**
 * The digest of the file that an answer promises, or null. `x-linked-etag` is the hub's word on a redirect, where the
 * CDN behind it knows only its own ETag (protocols/huggingface.md §4.1). Digests of an encoded body say nothing.
 */
export function promisedDigest(response: Pick<HttpResponse, "status" | "headers" | "hops">): Digest | null {
  const { headers, status, hops } = response;
  const encoding = headers.get("content-encoding")?.trim().toLowerCase() ?? "";
  if (encoding === "" || encoding === "identity") {
    for (const read of READERS) {
      const digest = read(headers, status === 200);
      if (digest) return digest;
    }
  }
  const linked = [...hops.map((hop) => hop.headers), headers].map((h) =>
    h.get("x-linked-etag")?.replaceAll('"', ""),
  );
  for (const etag of linked) {
    const digest = etag ? parseDigest("sha256", etag) : undefined;
    if (digest) return digest;
  }
  return null;
}

/** `sha-256=:BASE64:, sha-512=:BASE64:` (RFC 9530), the shorter of the two for it is the cheaper to compute. */
function structured(header: string | null): Digest | undefined {
  const found = (name: string) =>
    new RegExp(`(?:^|,)\\s*${name}=:([A-Za-z0-9+/=]+):`).exec(header ?? "")?.[1] ?? "";
  return fromBase64("sha256", found("sha-256")) ?? fromBase64("sha512", found("sha-512"));
}

/** `SHA-256=BASE64,md5=…` (RFC 3230). */
function plain(header: string | null): Digest | undefined {
  const found = (name: string) =>
    new RegExp(`(?:^|,)\\s*${name}=([A-Za-z0-9+/=]+)`, "i").exec(header ?? "")?.[1] ?? "";
  return (
    fromBase64("sha256", found("sha-256")) ??
    fromBase64("sha512", found("sha-512")) ??
    fromBase64("md5", found("md5"))
  );
}

function fromBase64(algorithm: Digest["algorithm"], text: string): Digest | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined;
  return parseDigest(algorithm, Buffer.from(text, "base64").toString("hex"));
}
