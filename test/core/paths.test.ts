import { describe, expect, test } from "bun:test";
import { DownloadError } from "../../src/core/errors.ts";
import {
  foldPath,
  type ModelPath,
  parseFileName,
  parseModelPath,
  parseRepoPath,
  sanitizeFileName,
  showName,
} from "../../src/core/paths.ts";

function refusal(run: () => unknown): DownloadError {
  try {
    run();
  } catch (error) {
    if (error instanceof DownloadError) return error;
    throw error;
  }
  throw new Error("accepted");
}

describe("parseRepoPath", () => {
  test.each<[what: string, paths: string[]]>([
    ["F124 climbing", ["..", "../x", "a/..", "a/../../b", "./a", "a/./b", "a/.."]],
    ["F125 absolute", ["/", "/etc/passwd", "//server/share"]],
    [
      "F126 Windows paths",
      ["\\x", "a\\b", "..\\x", "C:", "C:x", "C:\\x", "a/C:/b", "\\\\server\\share", "file:stream"],
    ],
    ["F127 encoded separators", ["..%2f..%2fetc", "a%2Fb", "a%5cb", "%2e%2e", "a%00b"]],
    ["F128 NUL", ["a\u0000b", "\u0000"]],
    [
      "F129 device names",
      ["CON", "con.txt", "a/NUL", "nul.tar.gz", "COM1", "com¹.x", "LPT9", "aux .gguf", "CONIN$"],
    ],
    ["F129 names Windows would cut", ["a.", "a ", "dir./x", "dir /x", "..."]],
    [
      "F130 invisible or reordering",
      [
        "a\nb",
        "a\u001bb",
        "a\u0085b",
        "a\u202egpj.exe",
        "a\u2066b",
        "a\u200bb",
        "a\u200db",
        "\ufeffa",
        "a\u00adb",
        "a\u2028b",
      ],
    ],
    ["F131 our own suffix", ["x.part", "x.PART", "dir.part/x"]],
    ["F134 empty", ["", "a//b", "a/", "/a/"]],
    ["not Unicode", ["a\ud800b"]],
  ])("%s: refused with invalid_path", (_, paths) => {
    for (const path of paths) {
      const error = refusal(() => parseRepoPath(path));
      expect([path, error.code]).toEqual([path, "invalid_path"]);
      expect(error.message).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e]/);
    }
  });

  test("what hubs really have is accepted unchanged", () => {
    const paths = [
      "model.gguf",
      ".gitattributes",
      "sub/dir/file name (1).gguf",
      "a#b?.txt",
      "ümlaut.json",
      "100%.txt",
      "a+b&c=d.bin",
      "-rf",
      "~",
      "...gguf",
      "console.log",
      "com10",
      "part-1/x.parted",
      "日本語/モデル.gguf",
      "a".repeat(230),
    ];
    for (const path of paths) expect(parseRepoPath(path)).toBe<string>(path);
  });

  test("F122 F133 too long, too deep and huge ones are refused, all of them quickly", () => {
    const long = ["a".repeat(231), "ü".repeat(116), `${"a/".repeat(10_000)}a`, "x".repeat(65_536)];
    const start = performance.now();
    for (const path of long) expect(refusal(() => parseRepoPath(path)).code).toBe("invalid_path");
    expect(performance.now() - start).toBeLessThan(1_000);
  });

  test("the parameter is named, the path is shown short", () => {
    const error = refusal(() => parseRepoPath(`../${"x".repeat(500)}`, "filename"));
    expect(error.param).toBe("filename");
    expect(error.message.length).toBeLessThan(250);
  });
});

test("parseFileName takes one component only", () => {
  expect(parseFileName("a.gguf")).toBe<string>("a.gguf");
  expect(refusal(() => parseFileName("a/b.gguf")).code).toBe("invalid_path");
});

describe("sanitizeFileName", () => {
  const CASES: [string, string | null][] = [
    ["model.gguf", "model.gguf"],
    ["../../etc/passwd", "passwd"],
    ["C:\\Users\\x\\model.gguf", "model.gguf"],
    ["..", null],
    [".", null],
    ["", null],
    ["dir/", null],
    ["a\r\nb.gguf", "ab.gguf"],
    ["\u202efugg.exe", "fugg.exe"],
    ["nul.gguf", "_nul.gguf"],
    ["model.gguf. . ", "model.gguf"],
    ["model.part", "model"],
    ["x.part.part", null],
    ["a:b?.gguf", "a_b_.gguf"],
    ["%2e%2e%2fx", "_2e_2e_2fx"],
  ];
  for (const [given, wanted] of CASES)
    test(`F197 ${JSON.stringify(given)} -> ${JSON.stringify(wanted)}`, () => {
      expect(sanitizeFileName(given)).toBe<string | null>(wanted);
    });

  test("whatever comes out is a file name that is accepted, or null", () => {
    const alphabet = [
      "a",
      ".",
      " ",
      "/",
      "\\",
      ":",
      "%2f",
      "\u0000",
      "\u202e",
      "con",
      ".part",
      "é",
      "\ud800",
      "~",
    ];
    let seed = 7;
    const next = (n: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
      return seed % n;
    };
    for (let i = 0; i < 20_000; i++) {
      const text = Array.from({ length: next(12) }, () => alphabet[next(alphabet.length)]).join("");
      const name = sanitizeFileName(text);
      if (name !== null) expect(parseFileName(name)).toBe(name);
    }
    const long = sanitizeFileName(`${"ü".repeat(300)}.gguf`)!;
    expect(parseFileName(long)).toEndWith(".gguf");
  });
});

test("F122 F133 a proposed name is cut between characters, however long it is, and keeps its extension", () => {
  for (const letter of ["x", "ü", "日", "😀", "e\u0301"])
    for (const count of [300, 65_536]) {
      const name = sanitizeFileName(`${letter.repeat(count)}.gguf`)!;
      expect(parseFileName(name)).toBe(name);
      expect([letter, Buffer.byteLength(name) > 220, name.endsWith(".gguf") || count === 65_536]).toEqual([
        letter,
        true,
        true,
      ]);
    }
});

test("F123 F132 paths that one file system takes for the same fold to the same", () => {
  expect(foldPath("README.md")).toBe(foldPath("readme.MD"));
  expect(foldPath("caf\u00e9")).toBe(foldPath("cafe\u0301"));
  expect(foldPath("straße")).toBe(foldPath("STRASSE"));
  expect(foldPath("a")).not.toBe(foldPath("b"));
});

test("F123 F132 every letter folds to the same in each of its cases, composed and decomposed", () => {
  let letters = 0;
  for (let code = 0; code <= 0x10ffff; code++) {
    const letter = code >= 0xd800 && code <= 0xdfff ? "" : String.fromCodePoint(code);
    const cases = [letter.toLowerCase(), letter.toUpperCase(), letter.normalize("NFD")].filter(
      (it) => it !== letter,
    );
    if (cases.length > 0) letters += 1;
    for (const other of cases)
      expect([letter, other, foldPath(`a${other}b`)]).toEqual([letter, other, foldPath(`a${letter}b`)]);
  }
  expect(letters).toBeGreaterThan(2_000);
});

test("F202 showName makes hidden characters visible", () => {
  expect(showName("a\u202eb\n")).toBe('"a\\u202eb\\u000a"');
});

test("F124 F127 F135 a path of Ollama's directory is a blob by its digest or a manifest by four safe names", () => {
  const hex = "0123456789abcdef".repeat(4);
  for (const path of [
    `blobs/sha256-${hex}`,
    "manifests/registry.ollama.ai/library/m/latest",
    "manifests/localhost:5000/me/m/t",
  ])
    expect(parseModelPath(path)).toBe(path as ModelPath);
  for (const path of [
    "",
    `blobs/sha256:${hex}`,
    `blobs/sha256-${hex.toUpperCase()}`,
    `blobs/sha256-${hex}/x`,
    `blobs/sha256-${hex.slice(1)}`,
    "blobs/../x",
    "manifests/a/b/c",
    "manifests/a/b/c/d/e",
    "manifests/../b/c/d",
    "manifests/a/b:x/c/d",
    "manifests/a//c/d",
    "manifests/a/b/c/d.part",
    "/manifests/a/b/c/d",
    "a.gguf",
  ])
    expect([path, refusal(() => parseModelPath(path)).code]).toEqual([path, "invalid_path"]);
});
