import { expect, test } from "bun:test";
import { beside, isInside, knownTarget, parentOf, targetIn } from "../../src/core/target-path.ts";
import { codeOf } from "./support.ts";

const MODELS = knownTarget("/srv/models");
const refusal = (make: () => unknown) => codeOf((async () => make())());

test("F124 F125 F128 names lead to a place in their folder, or are refused", async () => {
  expect(targetIn(MODELS)).toBe(MODELS);
  for (const [names, path] of [
    [["m.gguf"], "/srv/models/m.gguf"],
    [["acme/tiny", "q/m.gguf"], "/srv/models/acme/tiny/q/m.gguf"],
    [["a/../b"], "/srv/models/b"],
    [["/etc/passwd"], "/srv/models/etc/passwd"],
    [["..models"], "/srv/models/..models"],
  ] as const)
    expect(targetIn(MODELS, ...names)).toBe(knownTarget(path));
  for (const names of [
    [".."],
    ["../models-2/m.gguf"],
    ["a/../../b"],
    ["a", "..", "..", "etc/passwd"],
    ["../../etc/passwd"],
    ["a\0b"],
  ])
    expect([names, await refusal(() => targetIn(MODELS, ...names))]).toEqual([names, "invalid_path"]);
});

test("F124 F128 a recorded path is taken as it is when it is absolute and normal", async () => {
  for (const path of ["/", "/m.gguf", "/srv/models/acme/tiny", "/srv/..models/%2e%2e"])
    expect(knownTarget(path)).toBe(path as typeof MODELS);
  for (const path of ["", ".", "m.gguf", "../m", "~/m", "/a/../b", "/a//b", "/a/.", "/a\0"])
    expect([path, await refusal(() => knownTarget(path))]).toEqual([path, "internal"]);
});

test("F131 what stands beside a file stays in its folder", async () => {
  const file = targetIn(MODELS, "acme/m.gguf");
  expect(parentOf(file)).toBe(targetIn(MODELS, "acme"));
  expect(beside(file, ".1234.part")).toBe(targetIn(MODELS, "acme/m.gguf.1234.part"));
  expect(await refusal(() => beside(file, "/../../../etc/passwd"))).toBe("invalid_path");
});

test("F124 a folder that only begins with the same letters is another one", () => {
  expect(isInside("/srv/models-2/m", MODELS)).toBe(false);
  expect(isInside("/srv/models", MODELS)).toBe(true);
  expect(isInside("/srv/models/m", MODELS)).toBe(true);
  expect(isInside("/srv/models/m", "/")).toBe(true);
});
