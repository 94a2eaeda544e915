import { expect, test } from "bun:test";
import { DownloadError } from "../../src/core/errors.ts";
import { parseRepoId as parseHubRepoId } from "../../src/sources/huggingface/reference.ts";
import { parseRepoId as parseSiteRepoId } from "../../src/sources/modelscope/reference.ts";

const PARSERS = { "Hugging Face": parseHubRepoId, ModelScope: parseSiteRepoId };
const DEVICES = ["con/model", "acme/NUL", "acme/aux.gguf", "COM1/x", "acme/x.part"];

test.each(Object.entries(PARSERS))(
  "F129 F136 a repository of %s whose name is no folder on Windows is refused at once",
  (_, parse) => {
    for (const text of DEVICES) {
      const judge = () => parse(text, "repo_id");
      expect(judge).toThrow(DownloadError);
      expect(judge).toThrow(/is not accepted/);
    }
    for (const text of ["acme/tiny-gguf", "Qwen/Qwen2.5-0.5B", "a/console", "a/com10"])
      expect(parse(text, "repo_id")).toBe(text);
  },
);
