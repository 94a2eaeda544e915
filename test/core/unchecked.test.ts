/** What the compiler refuses: `tsc` (part of `bun run check`) fails where an expected error is none any more. */
import { expect, test } from "bun:test";
import { type Digest, knownDigest } from "../../src/core/digest.ts";
import { blobName } from "../../src/storage/layouts/ollama-manifests.ts";
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
