import { describe, expect, test } from "bun:test";
import { DownloadError } from "../../src/core/errors.ts";
import { register } from "../../src/engines/register.ts";
import { tempDir } from "../support/temp.ts";
import { engineSpec, type Gguf, LLAMA, writeModel } from "./support.ts";

const look = (path: string) => register.create(engineSpec("e"), path, new AbortController().signal);
const refusal = (path: string): Promise<unknown> =>
  look(path).then(
    () => "accepted",
    (error: unknown) => error,
  );

describe("A16 register refuses a GGUF file that goes with a model, or holds none", () => {
  const type = (kind: string) => ({ pairs: { ...LLAMA, "general.type": kind } });
  const cases: [string, Gguf, RegExp][] = [
    ["general.type mmproj", type("mmproj"), /is a projector \(mmproj\).*Name the model's own file/],
    ["the architecture clip", { pairs: { "general.architecture": "clip" } }, /is a projector \(mmproj\)/],
    ["general.type adapter", type("adapter"), /is an adapter \(LoRA\).*Name the model's own file/],
    ["adapter.type alone", { pairs: { ...LLAMA, "adapter.type": "lora" } }, /is an adapter \(LoRA\)/],
    ["general.type imatrix", { pairs: { "general.type": "imatrix" } }, /is an importance matrix/],
    ["no architecture", { pairs: { "general.name": "x" } }, /names no architecture/],
    ["an empty architecture", { pairs: { "general.architecture": "" } }, /names no architecture/],
    ["an architecture that is no text", { pairs: { "general.architecture": 7 } }, /names no architecture/],
    ["no tensors", { pairs: LLAMA, tensors: [] }, /has no weights/],
  ];
  for (const [what, model, reason] of cases)
    test(what, async () => {
      using dir = tempDir("companion");
      const error = await refusal(writeModel(dir.at("m.gguf"), model));
      expect(error).toBeInstanceOf(DownloadError);
      const { code, message } = error as DownloadError;
      expect([code, message]).toEqual(["engine_failed", expect.stringMatching(reason)]);
      expect(message).toContain("The file stays.");
    });

  test("general.type model, or one that is not known yet, is a model", async () => {
    using dir = tempDir("companion");
    for (const kind of ["model", "something-new"])
      expect((await look(writeModel(dir.at("m.gguf"), type(kind)))).state).toBe("loaded");
  });
});

describe("A17 of a set the first file says what it is, and any may hold the weights", () => {
  const named = (n: number) => `m-0000${n}-of-00002.gguf`;
  test("later files without architecture, a first one without tensors", async () => {
    using dir = tempDir("companion");
    const first = writeModel(dir.at(named(1)), { pairs: { ...LLAMA, "split.no": 0 }, tensors: [] });
    writeModel(dir.at(named(2)), { pairs: { "split.no": 1 } });
    const { state, details, warnings } = await look(first);
    expect([state, details?.parameterCount, warnings]).toEqual(["loaded", 32, []]);
  });

  test("a first one without tensors whose others are missing is told to be incomplete", async () => {
    using dir = tempDir("companion");
    const { warnings } = await look(writeModel(dir.at(named(1)), { pairs: LLAMA, tensors: [] }));
    expect(warnings).toEqual([expect.stringContaining("Only 1 of the 2 files") as unknown as string]);
  });

  test("a later one alone is refused with what is missing", async () => {
    using dir = tempDir("companion");
    const error = await refusal(writeModel(dir.at(named(2)), { pairs: { "split.no": 1 } }));
    expect((error as DownloadError).message).toContain("the first file of its set, which does, is missing");
  });
});
