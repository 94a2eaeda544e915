/** The command line as a process of its own, from source. */
import { join } from "node:path";
import { type TempDir, tempDir } from "../support/temp.ts";
import { Lines } from "../support/until.ts";

export const MAIN = join(import.meta.dir, "../../src/main.ts");

export interface Ran {
  code: number;
  out: string;
  err: string;
}

/** A home of its own, so that nothing of this machine's user matters. */
export class Home implements Disposable {
  readonly dir: TempDir = tempDir("cli");
  readonly data = this.dir.at("data");
  readonly models = this.dir.at("models");
  readonly #env: Record<string, string>;
  readonly #children: Bun.Subprocess[] = [];

  constructor(env: Record<string, string> = {}) {
    this.#env = {
      PATH: process.env.PATH ?? "",
      HOME: this.dir.path,
      MODELHAUL_DATA_DIR: this.data,
      MODELHAUL_MODELS_DIR: this.models,
      MODELHAUL_LOG_LEVEL: "warning",
      ...env,
    };
  }

  spawn(argv: string[]) {
    return this.bun(MAIN, ...argv);
  }

  /** Bun itself in this home. */
  bun(...argv: string[]) {
    const child = Bun.spawn([process.execPath, ...argv], {
      cwd: this.dir.path,
      env: this.#env,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#children.push(child);
    return child;
  }

  /** Runs a command to its end. */
  async run(...argv: string[]): Promise<Ran> {
    const child = this.spawn(argv);
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, out: out.trimEnd(), err: err.trimEnd() };
  }

  /** A daemon on a free port. */
  async serve(...argv: string[]) {
    const child = this.spawn(["serve", "--listen", "127.0.0.1:0", ...argv]);
    const out = new Lines(child.stdout);
    const err = new Lines(child.stderr);
    const line = await out
      .waitFor(/^listening on /, 20_000)
      .catch((error) => Promise.reject(new Error(`${error.message}\n${err.all.join("\n")}`)));
    return { child, out, err, url: line.replace("listening on ", "") };
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill("SIGKILL");
    this.dir[Symbol.dispose]();
  }
}

export async function sha256(path: string): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const chunk of Bun.file(path).stream()) hasher.update(chunk);
  return hasher.digest("hex");
}
