/** `bun build.ts [--target NAME]… [--all] [--outdir DIR]`: one executable with workers and web page inside, in dist/. */
import { mkdir, rm } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { version } from "./package.json";
import { bundleEmbed } from "./src/embed.ts";

type Target = Bun.Build.CompileTarget;

/** File name in dist/ and what Bun calls the platform. x64 without AVX2 is slower there, but starts everywhere. */
const TARGETS: Record<string, Target> = {
  "linux-x64": "bun-linux-x64-baseline",
  "linux-arm64": "bun-linux-arm64",
  "linux-x64-musl": "bun-linux-x64-baseline-musl",
  "darwin-arm64": "bun-darwin-arm64",
  "darwin-x64": "bun-darwin-x64-baseline",
  "windows-x64": "bun-windows-x64-baseline",
};

const { values } = parseArgs({
  options: {
    all: { type: "boolean", default: false },
    target: { type: "string", multiple: true, default: [] },
    outdir: { type: "string", default: join(import.meta.dir, "dist") },
  },
});
const root = import.meta.dir;
const dist = resolve(values.outdir);

/** Workers are files of their own inside the executable only when they are entry points (DESIGN §6). */
async function entryPoints(): Promise<string[]> {
  const workers = await Array.fromAsync(new Bun.Glob("src/**/*worker.ts").scan({ cwd: root }));
  return ["src/main.ts", ...workers.sort()].map((path) => join(root, path));
}

/** Builds one executable; answers its path. Throws when the platform's base executable cannot be had. */
async function build(name: string | undefined): Promise<string> {
  const target = name === undefined ? undefined : TARGETS[name];
  if (name !== undefined && target === undefined)
    throw new Error(`no such target; one of ${Object.keys(TARGETS).join(", ")}`);
  const suffix = name === undefined ? "" : `-${name}`;
  const extension = (name ?? process.platform).startsWith("win") ? ".exe" : "";
  const outfile = join(dist, `modelhaul${suffix}${extension}`);
  const result = await Bun.build({
    entrypoints: await entryPoints(),
    root,
    minify: true,
    // Parsed ahead: a third of the start-up time. A platform that cannot use it parses the source beside it.
    bytecode: true,
    format: "esm",
    // What the page needs later, its chart, is a file of its own that is fetched then.
    splitting: true,
    // A script of its own, which shares nothing with the page.
    define: { EMBED_SCRIPT: JSON.stringify(await bundleEmbed()) },
    compile: {
      outfile,
      autoloadBunfig: false,
      autoloadDotenv: false,
      ...(target === undefined ? {} : { target }),
    },
  });
  for (const log of result.logs) console.error(String(log));
  if (!result.success || !(await Bun.file(outfile).exists())) throw new Error("the build failed");
  return outfile;
}

async function checksums(paths: readonly string[]): Promise<void> {
  const lines = await Promise.all(
    paths.map(async (path) => {
      const hasher = new Bun.CryptoHasher("sha256");
      for await (const chunk of Bun.file(path).stream()) hasher.update(chunk);
      return `${hasher.digest("hex")}  ${basename(path)}\n`;
    }),
  );
  await Bun.write(join(dist, "SHA256SUMS"), lines.join(""));
}

const wanted = values.all ? Object.keys(TARGETS) : values.target.length > 0 ? values.target : [undefined];

await mkdir(dist, { recursive: true });
const made: string[] = [];
let failed = false;
for (const name of wanted) {
  try {
    const path = await build(name);
    made.push(path);
    console.log(
      `${relative(process.cwd(), path)}  ${version}  ${(Bun.file(path).size / 1024 ** 2).toFixed(0)} MiB`,
    );
  } catch (error) {
    failed = true;
    const causes = error instanceof AggregateError ? error.errors : [];
    console.error(
      [`${name ?? "this platform"}: ${error instanceof Error ? error.message : error}`, ...causes].join("\n"),
    );
  }
}
if (values.all) await checksums(made);
await rm(join(root, ".bun-build"), { recursive: true, force: true });
if (failed) process.exit(1);
