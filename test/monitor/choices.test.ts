import { describe, expect, test } from "bun:test";
import type { RemoteFile } from "../../web/state/types.ts";
import { choicesOf, preselect, selectionOf, sizeOf } from "../../web/views/add/choices.ts";
import { preference, quantization } from "../../web/views/add/quantizations.ts";
import { linesOf, referenceOf } from "../../web/views/add/references.ts";
import { commonPath } from "../../web/views/models/groups.ts";
import { changesOf, draftOf, faultsOf, rebased } from "../../web/views/settings/form.ts";

const GB = 1e9;
const file = (path: string, size = 1, more: Partial<RemoteFile> = {}): RemoteFile => ({
  path,
  size,
  ...more,
});
const quantized = (quantization: string, size: number): RemoteFile =>
  file(`m-${quantization}.gguf`, size, { quantization });
const listed = (...files: RemoteFile[]) => choicesOf({ repo_id: "a/m", gated: false, files });
const shards = (count: number, of = count): RemoteFile[] =>
  Array.from({ length: count }, (_, at) =>
    file(`m-BF16-0000${at + 1}-of-0000${of}.gguf`, 2 * GB, {
      quantization: "BF16",
      shard_set: `m-BF16-*-of-0000${of}.gguf`,
      shard: { number: at + 1, count: of },
    }),
  );

describe("what of a repository can be chosen", () => {
  const all = listed(
    file("README.md"),
    quantized("Q8_0", 8 * GB),
    ...shards(3),
    quantized("Q4_K_M", 5 * GB),
    quantized("Q3_K_M", 4 * GB),
    file("mmproj-F16.gguf", GB, { quantization: "F16" }),
  );

  test("a split set is one choice, models stand by size, what goes with one is beside them", () => {
    expect(
      all.models.map(({ quantization, size, paths }) => [quantization, size / GB, paths.length]),
    ).toEqual([
      ["Q3_K_M", 4, 1],
      ["Q4_K_M", 5, 1],
      ["BF16", 6, 3],
      ["Q8_0", 8, 1],
    ]);
    expect(all.others.map(({ key }) => key)).toEqual(["README.md", "mmproj-F16.gguf"]);
    expect(sizeOf(all, new Set(["m-BF16-*-of-00003.gguf", "mmproj-F16.gguf"]))).toBe(7 * GB);
  });

  test("the usual quantization that fits is preselected; the smallest where none does", () => {
    expect(preselect(all, undefined)).toEqual(["m-Q4_K_M.gguf"]);
    expect(preselect(all, 5 * GB)).toEqual(["m-Q4_K_M.gguf"]);
    expect(preselect(all, 4.5 * GB)).toEqual(["m-Q3_K_M.gguf"]);
    expect(preselect(all, 0)).toEqual(["m-Q3_K_M.gguf"]);
    expect(preselect(all, 0, "m-BF16-00002-of-00003.gguf")).toEqual(["m-BF16-*-of-00003.gguf"]);
    expect(preselect(all, undefined, "not-there.gguf")).toEqual([]);
    expect(preselect(listed(...shards(2, 3), quantized("F32", 30 * GB)), undefined)).toEqual(["m-F32.gguf"]);
    expect(preselect(listed(file("a.safetensors"), file("config.json")), 0)).toEqual([
      "a.safetensors",
      "config.json",
    ]);
    expect(preselect(listed(), 0)).toEqual([]);
  });

  test("the request says exactly that, in names or patterns", () => {
    const select = (...keys: string[]) => selectionOf(all, new Set(keys));
    expect(select()).toBeUndefined();
    expect(select("m-Q8_0.gguf")).toEqual({ filename: "m-Q8_0.gguf" });
    expect(select("m-BF16-*-of-00003.gguf")).toEqual({ include: ["m-BF16-*-of-00003.gguf"] });
    expect(select("m-Q8_0.gguf", "README.md")).toEqual({ include: ["m-Q8_0.gguf", "README.md"] });
    expect(select(...[...all.models, ...all.others].map(({ key }) => key))).toEqual({});
    const odd = listed(file("a[1]*.txt"), file("b?.txt"), file("c.txt"));
    expect(selectionOf(odd, new Set(["a[1]*.txt", "b?.txt"]))).toEqual({
      include: ["a[[]1][*].txt", "b[?].txt"],
    });
  });

  test("F209 more single files than patterns are said by what is left out, or not at all", () => {
    const many = listed(...Array.from({ length: 250 }, (_, at) => file(`${at}.json`)));
    const keys = many.others.map(({ key }) => key);
    expect(selectionOf(many, new Set(keys.slice(1)))).toEqual({ exclude: [keys[0]!] });
    expect(selectionOf(many, new Set(keys.slice(0, 125)))).toBeUndefined();
  });
});

test("quantizations are known by every name in use, with fewer bits for smaller ones", () => {
  const bits = "IQ1_S IQ2_M Q2_K Q3_K_S Q3_K_M IQ4_XS Q4_K_M Q5_K_M Q6_K Q8_0 BF16 F32"
    .split(" ")
    .map((name) => quantization(name)?.bits ?? 0);
  expect(bits).toEqual([...bits].sort((a, b) => a - b));
  expect(bits.every((count) => count > 1)).toBe(true);
  expect(quantization("Q4_K_XL")).toEqual(quantization("Q4_K_M")!);
  expect(quantization("Q4_0_4_8")).toEqual(quantization("Q4_0")!);
  expect(quantization("constructor")).toBeUndefined();
  expect(preference("Q4_K_M")).toBeLessThan(preference("Q5_K_M"));
  expect(preference("Q8_0")).toBeLessThan(preference(undefined));
});

test.each([
  ["llama3.2", "ollama:llama3.2"],
  ["llama3.2:1b", "ollama:llama3.2:1b"],
  ["ollama run llama3.2:1b", "ollama:llama3.2:1b"],
  ["$ ollama pull user/model", "ollama:user/model"],
  ["https://ollama.com/library/qwen3:8b", "ollama:qwen3:8b"],
  ["https://ollama.com/search?q=x", "https://ollama.com/search?q=x"],
  ["hf.co/org/name", "https://hf.co/org/name"],
  ["huggingface.co/org/name/blob/main/a.gguf", "https://huggingface.co/org/name/blob/main/a.gguf"],
  ["ollama.com/library/qwen3:8b", "ollama:qwen3:8b"],
  ["hf download org/name", "hf:org/name"],
  ["huggingface-cli download org/name model.gguf", "hf:org/name/model.gguf"],
  ["org/name", "org/name"],
  ["hf:org/name@v1", "hf:org/name@v1"],
  ["ollama:llama3.2", "ollama:llama3.2"],
  ["https://host/a.gguf", "https://host/a.gguf"],
  ["javascript:alert(1)", "javascript:alert(1)"],
])("%s is read as %s", (line, reference) => {
  expect(referenceOf(line)).toBe(reference);
});

test("lines are taken once, without comments and blanks", () => {
  expect(linesOf("a/b\r\n\n # a comment\n a/b \nc/d")).toEqual(["a/b", "c/d"]);
});

test("the folder that files share", () => {
  expect(commonPath([])).toBeUndefined();
  expect(commonPath(["/m/a/b.gguf"])).toBe("/m/a/b.gguf");
  expect(commonPath(["/m/a/b.gguf", "/m/a/c/d.gguf"])).toBe("/m/a");
  expect(commonPath(["/m/ab/x", "/m/ac/y"])).toBe("/m");
  expect(commonPath(["C:\\m\\a\\x", "C:\\m\\a\\y"])).toBe("C:\\m\\a");
});

test("R136 R137 settings become text and only what was changed goes back", () => {
  const retry = { max_attempts: 10, base_ms: 1000, max_ms: 60_000, jitter: 0.3 };
  const settings = {
    max_concurrent: 3,
    connections_per_download: 8,
    rate_limit_bps: 1_048_576,
    retry,
    paused: false,
  };
  const draft = draftOf(settings);
  expect(draft).toMatchObject({ rate: "1", first: "1", longest: "60", jitter: "30" });
  expect(changesOf(draft, settings)).toEqual({});
  expect(changesOf({ ...draft, rate: "", jitter: "0" }, settings)).toEqual({
    rate_limit_bps: 0,
    retry: { jitter: 0 },
  });
  expect(faultsOf(draft, settings)).toEqual({});
  for (const [name, text] of [
    ["concurrent", "0"],
    ["concurrent", "2.5"],
    ["connections", "65"],
    ["attempts", ""],
    ["rate", "-1"],
    ["rate", "fast"],
    ["rate", "0"],
    ["jitter", "101"],
    ["longest", "99999999999999999999"],
  ] as const)
    expect(faultsOf({ ...draft, [name]: text }, settings)).toEqual({
      [name]: expect.stringMatching(/^Write a /),
    });
  expect(changesOf({ ...draft, rate: "2,5", first: "0,5" }, settings)).toEqual({
    rate_limit_bps: 2_621_440,
    retry: { base_ms: 500 },
  });
  const slow = { ...settings, rate_limit_bps: 100 };
  expect([draftOf(slow).rate, faultsOf(draftOf(slow), slow)]).toEqual(["0.000095367", {}]);
});

test("F165 a first wait longer than the longest is said where something was changed", () => {
  const retry = { max_attempts: 10, base_ms: 1000, max_ms: 60_000, jitter: 1 };
  const settings = {
    max_concurrent: 3,
    connections_per_download: 8,
    rate_limit_bps: 0,
    retry,
    paused: false,
  };
  const draft = draftOf(settings);
  const said = (change: object) => faultsOf({ ...draft, ...change }, settings);
  const tooLong = "Write at most the longest wait, which is 60 s, or make that longer.";
  expect(said({ first: "61" })).toEqual({ first: tooLong });
  expect(said({ longest: "0,5" })).toEqual({
    longest: "Write at least the first wait, which is 1 s, or make that shorter.",
  });
  expect(said({ first: "9", longest: "8" })).toEqual({
    first: "Write at most the longest wait, which is 8 s, or make that longer.",
  });
  expect(said({ first: "60" })).toEqual({});
  const saved = { ...settings, max_concurrent: 7, retry: { ...retry, max_ms: 5000 } };
  expect(rebased({ ...draft, first: "30", attempts: "x" }, settings, saved)).toEqual({
    ...draftOf(saved),
    first: "30",
    attempts: "x",
  });
});
