import { describe, expect, test } from "bun:test";
import { DownloadError } from "../../src/core/errors.ts";
import { compilePatterns, literalPattern } from "../../src/sources/patterns.ts";

const matches = (pattern: string, path: string): boolean => compilePatterns([pattern], "include")(path);

describe("patterns read as Python's fnmatch does", () => {
  const CASES: [string, string, boolean][] = [
    ["*.gguf", "model.gguf", true],
    ["*.gguf", "sub/dir/model.gguf", true],
    ["*.gguf", "model.gguf.txt", false],
    ["*.GGUF", "model.gguf", false],
    ["onnx/", "onnx/model.onnx", true],
    ["onnx/", "onnx/a/b.onnx", true],
    ["onnx/", "onnx", false],
    ["onnx/*", "sub/onnx/x", false],
    ["*", "", true],
    ["?", "é", true],
    ["?", "😀", true],
    ["a?c", "a/c", true],
    ["[ab].txt", "b.txt", true],
    ["[!ab].txt", "b.txt", false],
    ["[!ab].txt", "c.txt", true],
    ["[a-c]x", "bx", true],
    ["[c-a]x", "bx", false],
    ["[]a]", "]", true],
    ["[!]]", "]", false],
    ["[a-]", "-", true],
    ["[-a]", "-", true],
    ["[", "[", true],
    ["a[b", "a[b", true],
    ["a\\*", "a\\bc", true],
    ["*a*b*c", "xaxbxc", true],
    ["*a*b*c", "xaxbxcx", false],
    ["**x**", "x", true],
    ["model-*-of-00003.gguf", "model-00002-of-00003.gguf", true],
  ];
  for (const [pattern, path, wanted] of CASES)
    test(`${pattern} ${wanted ? "takes" : "leaves"} ${path}`, () => {
      expect(matches(pattern, path)).toBe(wanted);
    });

  test("any pattern of a list is enough", () => {
    const match = compilePatterns(["*.json", "*.gguf"], "include");
    expect([match("a.json"), match("b.gguf"), match("c.bin")]).toEqual([true, true, false]);
  });

  test("a literal pattern takes its own text and no other", () => {
    for (const text of ["a*b", "a?b", "[x]", "[!x]", "a[b", "]", "plain"]) {
      expect(matches(literalPattern(text), text)).toBe(true);
      expect(matches(literalPattern(text), `${text}x`)).toBe(false);
    }
    expect(matches(literalPattern("a*b"), "axb")).toBe(false);
  });
});

describe("F209 patterns cannot eat the processor", () => {
  test("the pattern that kills backtracking matchers needs no time", () => {
    const start = performance.now();
    expect(matches("*a".repeat(250), "a".repeat(1_000))).toBe(true);
    expect(matches(`${"*a".repeat(250)}b`, "a".repeat(1_000))).toBe(false);
    // Exponential matchers would need longer than the age of the universe; the margin is for busy machines.
    expect(performance.now() - start).toBeLessThan(5_000);
  });

  test("too many, too long and empty patterns are refused", () => {
    for (const list of [Array(101).fill("a"), ["x".repeat(513)], [""]]) {
      const refused = () => compilePatterns(list, "exclude");
      expect(refused).toThrow(DownloadError);
      try {
        refused();
      } catch (error) {
        expect(error).toMatchObject({ code: "invalid_request", param: "exclude" });
      }
    }
  });
});
