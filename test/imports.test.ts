import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const ROOT = join(import.meta.dir, "..");
const list = (pattern: string): string[] => [...new Bun.Glob(pattern).scanSync(ROOT)].sort();
const read = (file: string): string => readFileSync(join(ROOT, file), "utf8");
const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");

const SOURCE = list("src/**/*.{ts,tsx}");
const WEB = list("web/**/*.{ts,tsx}");

/** `src/db/sqlite.ts` -> `db`; files directly in src are the composition root; what lies elsewhere is nobody's. */
function roomOf(file: string): string {
  const [top, room, inside] = file.split("/");
  if (top !== "src") return "outside";
  return inside === undefined ? "root" : room!;
}

interface Import {
  target: string;
  typeOnly: boolean;
}

/** Imports of our own files, re-exports and dynamic ones included, as paths from the root. */
function importsOf(file: string): Import[] {
  const found = read(file).matchAll(
    /(?:^|\n)\s*(?:import|export)\b(\s+type\b)?[^"'`;]*?from\s*["'](\.[^"']+)["']|\bimport\(?\s*["'](\.[^"']+)["']/g,
  );
  return [...found].map(([, type, from, bare]) => ({
    target: relative(ROOT, join(ROOT, dirname(file), from ?? bare!)),
    typeOnly: type !== undefined,
  }));
}

test("core and client import nothing outside themselves, other rooms import core only, the web imports the client and types of the API", () => {
  const wrong = SOURCE.flatMap((file) => {
    const room = roomOf(file);
    if (file === "src/main.ts" || room === "cli") return [];
    const known =
      room === "root" ? ["root", "core", "outside"] : room === "client" ? ["client"] : [room, "core"];
    const strangers = importsOf(file).filter(({ target }) => !known.includes(roomOf(target)));
    return strangers.map(({ target }) => `${file} imports ${target}`);
  });
  const wrongWeb = WEB.flatMap((file) =>
    importsOf(file)
      .filter(({ target }) => !target.startsWith("web/") && !target.startsWith("src/client/"))
      .filter(({ target, typeOnly }) => !(typeOnly && target.startsWith("src/api/")))
      .map(({ target }) => `${file} imports ${target}`),
  );
  expect([...wrong, ...wrongWeb]).toEqual([]);
});

test("the client imports no package and nothing of a runtime: it runs wherever fetch does", () => {
  const bare = /(?:\bfrom\s*|\bimport\s*\(?\s*)["'](?!\.)([^"']+)["']/g;
  const runtime = /\b(?:Bun|Deno|process|Buffer|require|__dirname)\b/;
  const files = SOURCE.filter((file) => roomOf(file) === "client");
  expect(files.length).toBeGreaterThan(10);
  const wrong = files.filter((file) => {
    const text = withoutComments(read(file));
    return bare.test(text) || runtime.test(text);
  });
  expect(wrong).toEqual([]);
});

test("F34 F173 F174 nothing but src/http and the client opens a connection of its own", () => {
  /** The port `Transfer` has a method of that name: declaring it is no call. */
  const declaration = /^\s*(?:async\s+)?fetch\([^)]*\)(?:\s*:[^;{]+[;{]|\s*\{)\s*$/gm;
  const client =
    /(?<![.\w])fetch\(|\b(?:Bun|globalThis)\.fetch\b|\bBun\.connect\b|\bFetchSession\b|\bXMLHttpRequest\b|["']node:(?:http|https|http2)["']/;
  const wrong = SOURCE.filter((file) => !["http", "client"].includes(roomOf(file))).filter((file) =>
    client.test(
      withoutComments(read(file)).replace(declaration, "").replaceAll("typeof globalThis.fetch", ""),
    ),
  );
  expect(wrong).toEqual([]);
});

test("only src/config.ts reads the environment", () => {
  const environment = /\bprocess\.env\b|\bBun\.env\b|\bimport\.meta\.env\b/;
  const readers = SOURCE.filter((file) => environment.test(withoutComments(read(file))));
  expect(readers.filter((file) => file !== "src/config.ts")).toEqual([]);
});

test("no file is longer than 400 lines", () => {
  const long = [...SOURCE, ...WEB, ...list("test/**/*.{ts,tsx}")]
    .map((file) => ({ file, lines: read(file).split("\n").length - 1 }))
    .filter(({ lines }) => lines > 400);
  expect(long).toEqual([]);
});
