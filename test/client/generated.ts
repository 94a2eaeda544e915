import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { tempDir } from "../support/temp.ts";

const ROOT = join(import.meta.dir, "../..");

let generator: Promise<(document: object) => Promise<string>> | undefined;

/**
 * `openapi-typescript`, which builds its output with the compiler API that TypeScript had before 7: bundled with that
 * older one in the place of ours.
 */
export function typesOf(document: object): Promise<string> {
  generator ??= load();
  return generator.then((generate) => generate(document));
}

async function load(): Promise<(document: object) => Promise<string>> {
  const older = Bun.resolveSync("typescript-5", import.meta.dir);
  const dir = tempDir("openapi-typescript");
  const built = await Bun.build({
    entrypoints: [Bun.resolveSync("openapi-typescript", import.meta.dir)],
    target: "bun",
    outdir: dir.path,
    plugins: [
      {
        name: "older typescript",
        setup: (build) => void build.onResolve({ filter: /^typescript$/ }, () => ({ path: older })),
      },
    ],
  });
  const { default: generate, astToString } = await import(built.outputs[0]!.path);
  dir.remove();
  return async (document) => astToString(await generate(structuredClone(document)));
}

/** A project in a folder of its own that sees the packages of this repository. */
export async function project(files: Record<string, string>) {
  const dir = tempDir("project");
  symlinkSync(join(ROOT, "node_modules"), dir.at("node_modules"));
  const config = {
    compilerOptions: {
      strict: true,
      noEmit: true,
      target: "ES2022",
      module: "Preserve",
      moduleResolution: "bundler",
      lib: ["ES2022", "DOM", "DOM.Iterable"],
      types: [],
      skipLibCheck: false,
      allowImportingTsExtensions: true,
      noUncheckedIndexedAccess: true,
    },
    include: ["*.ts"],
  };
  const all = { "package.json": '{"type":"module"}', "tsconfig.json": JSON.stringify(config), ...files };
  for (const [name, text] of Object.entries(all)) await Bun.write(dir.at(name), text);
  return {
    dir,
    /** What the compiler says; empty when it is content. */
    compile: () => run(["node_modules/.bin/tsc", "--pretty", "false", "-p", "."], dir.path),
    [Symbol.dispose]: () => dir.remove(),
  };
}

/** Standard output and error of a command; fails with them unless it ends with 0, or `mayFail`. */
export async function run(command: string[], cwd: string, mayFail = true): Promise<string> {
  const child = Bun.spawn(command, { cwd, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0 && !mayFail) throw new Error(`${command.join(" ")}\n${out}${err}`);
  return (out + err).trim();
}
