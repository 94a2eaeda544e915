/** What the compiler refuses: `tsc` (part of `bun run check`) fails where an expected error is none any more. */
import { expect, test } from "bun:test";
import { type Digest, knownDigest } from "../../src/core/digest.ts";
import { parseRepoPath, type RepoPath } from "../../src/core/paths.ts";
import type { FetchRequest, HttpRequest, ManifestFile, Target } from "../../src/core/ports.ts";
import type { TargetPath } from "../../src/core/target-path.ts";
import { createHttp } from "../../src/http/index.ts";
import { blobName } from "../../src/storage/layouts/ollama-manifests.ts";
import { clock, input, log, Place } from "../storage/support.ts";
import { codeOf } from "./support.ts";

const HEX = "0123456789abcdef".repeat(4);

test("F135 text is no digest: only what has been checked can become the name of a blob", async () => {
  const { hex } = knownDigest({ algorithm: "sha256", hex: HEX });
  expect(blobName(hex)).toBe(`sha256-${HEX}`);
  // @ts-expect-error: not checked
  const unchecked: Digest = { algorithm: "sha256", hex: HEX };
  // @ts-expect-error: not checked
  expect(blobName("../x")).toBe("sha256-../x");
  expect(knownDigest(unchecked)).toEqual(unchecked);
  const known = async () => knownDigest({ algorithm: "sha256", hex: "../x" });
  expect(await codeOf(known())).toBe("internal");
});

test("F124 text is no place on disk: storage takes a checked path only", async () => {
  using place = new Place();
  const storage = place.storage();
  const outside = `${place.models}/../outside`;
  // @ts-expect-error: not checked
  const asked: Parameters<typeof storage.remove> = [outside];
  // @ts-expect-error: not checked
  const target: Target = { path: outside, partial: outside };
  // Even so, nothing is done there.
  expect(await codeOf(storage.remove(...asked))).toBe("invalid_path");
  expect(await codeOf(storage.open(target))).toBe("tampered");
  expect(place.files()).toEqual([]);
  const names = (): TargetPath[] => {
    // @ts-expect-error: a path inside a repository is none on disk
    return [parseRepoPath("m.gguf")];
  };
  expect(names()).toHaveLength(1);
  // @ts-expect-error: what a hub lists is not checked either
  const listed: ManifestFile = { path: "../m.gguf", size: 1, digest: null, locator: "" };
  expect(await codeOf(storage.plan(input([listed])))).toBe("invalid_path");
  // @ts-expect-error: not checked
  const path: RepoPath = "../m.gguf";
  expect(await codeOf((async () => parseRepoPath(path))())).toBe("invalid_path");
});

test("F34 F171 F174 text is no address: the HTTP client takes a checked one only, and checks it again", async () => {
  const http = createHttp({ userAgent: "test", allowPrivate: true, allowAddresses: [], clock, log });
  for (const url of ["file:///etc/hostname", "http://user:secret@127.0.0.1/", "m.gguf"]) {
    // @ts-expect-error: not checked
    const request: HttpRequest = { url };
    // @ts-expect-error: not checked
    const located: FetchRequest = { url };
    expect([url, await codeOf(http.request(request))]).toEqual([url, "invalid_url"]);
    expect([url, await codeOf(http.request(located))]).toEqual([url, "invalid_url"]);
  }
});
