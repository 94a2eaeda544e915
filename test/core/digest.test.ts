import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseDigest, parseNamedDigest } from "../../src/core/download.ts";

const HEX = "0123456789abcdef".repeat(4);
const RUBBISH = [
  ...[
    "",
    HEX.slice(1),
    `${HEX}0`,
    `${HEX.slice(1)}g`,
    ` ${HEX}`,
    `${HEX}\n`,
    `../${HEX.slice(3)}`,
    HEX.replace("0", "/"),
  ],
  ...[`${HEX.slice(2)}\u0000\u0000`, `${HEX.slice(1)}\uff10`, "********".repeat(8)],
];

test("F135 a digest is exactly as many hexadecimal digits as its algorithm has, and kept in lower case", () => {
  expect(parseDigest("sha256", HEX.toUpperCase())).toEqual<unknown>({ algorithm: "sha256", hex: HEX });
  expect(parseDigest("git-sha1", HEX.slice(24))).toEqual<unknown>({
    algorithm: "git-sha1",
    hex: HEX.slice(24),
  });
  for (const text of RUBBISH) expect([text, parseDigest("sha256", text)]).toEqual([text, undefined]);
});

test("F135 with its name in front it is no other digest", () => {
  for (const name of ["sha256:", "sha256-", "SHA256:"])
    expect(parseNamedDigest(name + HEX.toUpperCase())).toEqual<unknown>({ algorithm: "sha256", hex: HEX });
  for (const text of [HEX, `sha512:${HEX}`, `sha256${HEX}`, `xsha256:${HEX}`, `sha256:sha256:${HEX}`])
    expect([text, parseNamedDigest(text)]).toEqual([text, undefined]);
  for (const text of RUBBISH) expect([text, parseNamedDigest(`sha256:${text}`)]).toEqual([text, undefined]);
});

test("F135 nothing else reads digests: a second reader would have rules of its own", () => {
  const root = join(import.meta.dir, "..", "..", "src");
  const readers = [...new Bun.Glob("**/*.ts").scanSync(root)].filter((file) =>
    /sha256.*\[0-9a-f/i.test(readFileSync(join(root, file), "utf8")),
  );
  // What the OpenAPI document says of the two requests that take one.
  expect(readers.sort()).toEqual(["api/downloads/schemas.ts", "api/engines/schemas.ts"]);
});
