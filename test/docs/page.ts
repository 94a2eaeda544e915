/** What our own README says, taken apart: blocks of code, commands, routes, flags. */
import { join } from "node:path";

export const README = await Bun.file(join(import.meta.dir, "../../README.md")).text();

/** Where the README's examples find the service. */
export const SHOWN_BASE = "http://127.0.0.1:8080";

/** Contents of the fenced blocks in this language. */
export const blocksOf = (markdown: string, language: string): string[] =>
  [...markdown.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)]
    .filter(([, found]) => found === language)
    .map(([, , code = ""]) => code);

/** Commands of the shell blocks, those over several lines joined, remarks left out. */
export const commandsOf = (markdown: string): string[] =>
  blocksOf(markdown, "sh").flatMap((block) =>
    block
      .replace(/\\\n\s*/g, "")
      .split("\n")
      .map((line) => line.replace(/\s+#.*$|^#.*$/, "").trim())
      .filter((line) => line !== ""),
  );

export interface Mention {
  /** Absent where only the path is named. */
  method?: string;
  path: string;
}

const ROOTS =
  "v1|api|local|downloads|download-progress|engines|models|health|metrics|swagger|openapi\\.json|asyncapi\\.json|llms";
const ROUTE = new RegExp(
  `(?:\\b(GET|POST|PUT|PATCH|DELETE) )?(?<![\\w./~-])(?:${RegExp.escape(SHOWN_BASE)})?(/(?:${ROOTS})(?![a-z])[\\w.%{}/-]*)`,
  "g",
);

/** Every route of ours that a text names. */
export const routesIn = (text: string): Mention[] => [
  ...[...text.matchAll(ROUTE)].map(([, method, path = ""]) => ({
    ...(method === undefined ? {} : { method }),
    path: path.replace(/[./]+$/, ""),
  })),
  ...commandsOf(text)
    .filter((line) => line.startsWith("curl "))
    .map((line) => ({ method: /-X (\w+)/.exec(line)?.[1] ?? "GET", path: pathOf(line) })),
];

function pathOf(command: string): string {
  const [, path = ""] = new RegExp(`${RegExp.escape(SHOWN_BASE)}(/[^\\s'"?]*)`).exec(command) ?? [];
  return path;
}

/** Long options, wherever they stand; custom properties of the button's CSS look alike. */
export const flagsIn = (text: string): Set<string> =>
  new Set([...text.matchAll(/(?<![\w-])--(?!model-download-)[a-z][a-z0-9-]*/g)].map(([flag]) => flag));
