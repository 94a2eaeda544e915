import { describe, expect, test } from "bun:test";
import { namedForm } from "../../src/api/wingman/accept.ts";
import { fileNameOf, pairOfFileName } from "../../src/api/wingman/file-name.ts";
import type { Pair } from "../../src/api/wingman/pair.ts";

const pair = (repo: string, file: string): Pair => ({ repo, file });
const LONG = "Qwen/Qwen3-Next-80B-A3B-Thinking-With-A-Very-Long-Name-For-A-Repository-1M-GGUF";
const PAIRS = [
  pair("acme/tiny-gguf", "tiny-Q4_K_M.gguf"),
  pair("acme/Tiny-gguf", "tiny-Q4_K_M.gguf"),
  pair("acme/tiny-gguf", "tiny-q4_k_m.gguf"),
  pair("gpt2", "model.safetensors"),
  pair("a/b", "c"),
  pair("a", "b/c"),
  pair("a/b", "c=d"),
  pair("a/b=c", "d"),
  pair("a/b", "c%2fd"),
  pair("a/b", "c/d"),
  pair("a/b", "c.json"),
  pair("a/b", "c~"),
  pair("a/b", "模型/größe 7b (final).gguf"),
  pair("con.x", "nul.gguf"),
  pair("con", "aux"),
  pair("a/b", "x".repeat(230)),
  pair(LONG, `UD-Q4_K_XL/${LONG.replace("/", "_")}-UD-Q4_K_XL-00001-of-00003.gguf`),
  pair(LONG, `UD-Q4_K_XL/${LONG.replace("/", "_")}-UD-Q4_K_XL-00002-of-00003.gguf`),
  pair("a/b", "Ü".repeat(340)),
];

describe("R148 names of progress files", () => {
  test("each pair is read back from its name, and no two share one on a system that takes A for a", () => {
    const names = PAIRS.map(fileNameOf);
    expect(names.map(pairOfFileName)).toEqual(PAIRS);
    expect(new Set(names.map((name) => name.toUpperCase())).size).toBe(PAIRS.length);
  });

  test("the rule a reader needs: percent-encoded but for a-z 0-9 . _ -, '=' between", () => {
    expect(fileNameOf(pair("acme/tiny-gguf", "tiny-Q4_K_M.gguf"))).toBe(
      "acme%2ftiny-gguf=tiny-%514_%4b_%4d.gguf.json",
    );
  });

  test("every part of a name is safe and short on every file system", () => {
    for (const name of PAIRS.map(fileNameOf).flatMap((path) => path.split("/"))) {
      expect(name).toMatch(/^[a-z0-9%_-][a-z0-9%._=-]*(\.json|~)$/);
      expect(name.length).toBeLessThanOrEqual(143);
      expect(name).not.toMatch(/^(con|prn|aux|nul|com\d|lpt\d)\./);
    }
  });

  test("whatever text a pair is made of, at every length around a cut, its name leads back to it", () => {
    const texts = ["con.", "aux.x", ".", "..", "~", "A", "é", "%", "=", "/", "a.b"];
    for (const text of texts)
      for (let fill = 120; fill < 145; fill++) {
        const one = pair(`${"m".repeat(fill)}${text}`, `${text}${"n".repeat(fill)}${text}`);
        const name = fileNameOf(one);
        expect(pairOfFileName(name)).toEqual(one);
        for (const part of name.split("/")) {
          expect(part.length).toBeLessThanOrEqual(143);
          expect(part).not.toMatch(/^\.|^(con|prn|aux|nul)\./);
        }
      }
  });

  test("a name that is none of ours is nobody's", () => {
    const strangers = [
      "readme.json",
      "a%2Fb=c.json",
      "a%2fb=c",
      "a%2fb=c.json.json~",
      "a=b=c.json",
      "%zz=a.json",
    ];
    for (const name of [...strangers, ".new-1", "A=b.json", "a~/b=c.json", "%61=b.json", "=.json~"])
      expect([name, pairOfFileName(name)]).toEqual([name, undefined]);
  });
});

test("A13 which form an Accept header names", () => {
  const rows: [string | null, ReturnType<typeof namedForm>][] = [
    [null, undefined],
    ["", undefined],
    ["*/*", undefined],
    ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", undefined],
    ["text/event-stream", "events"],
    ["Text/Event-Stream; charset=utf-8", "events"],
    ["application/json", "json"],
    ["application/json, text/plain, */*", "json"],
    ["application/*", "json"],
    ["text/event-stream;q=0.5, application/json", "json"],
    ["text/event-stream, application/json", "events"],
    ["application/json;q=0, */*", undefined],
    ["application/json;q=nonsense", undefined],
    [",;,", undefined],
  ];
  for (const [accept, form] of rows) expect([accept, namedForm(accept)]).toEqual([accept, form]);
});
