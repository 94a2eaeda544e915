import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Place } from "../../storage/support.ts";

/** A directory with models in it whose owner has left links to elsewhere, and what lies elsewhere: nobody writes there. */
export class Mined implements Disposable {
  readonly place = new Place();
  readonly outside = join(this.place.dir, "outside");
  readonly #before: string;
  #moved = 0;

  constructor() {
    const { models, cache, ollama } = this.place;
    for (const dir of ["acme/tiny", "tiny", "sub", "blobs", "snapshots", "m", "empty"])
      mkdirSync(join(this.outside, dir), { recursive: true });
    for (const file of [
      "canary",
      "m.gguf",
      "sub/model.gguf",
      "model.gguf",
      "acme/tiny/model.gguf",
      "config.json",
    ])
      writeFileSync(join(this.outside, file), `canary ${file}`);
    symlinkSync("nowhere", join(this.outside, "dead"));
    for (const root of [models, cache, ollama]) mkdirSync(root, { recursive: true });
    this.#plant(models, {
      out: "../outside",
      up: "..",
      loop: "loop",
      dangling: "../outside/new",
      "m.gguf": "../outside/m.gguf",
      "model.gguf": "../outside/canary",
      in: "acme",
      "acme/escape": "../../outside/sub",
      "acme/tiny/config.json": "../../../outside/config.json",
    });
    for (const repo of ["models--out--x", "models--acme--escape"])
      this.#plant(cache, { [`${repo}/blobs`]: "../../outside/blobs", [`${repo}/refs`]: "../../outside/m" });
    this.#plant(cache, {
      "models--up--outside/snapshots": "../../outside/snapshots",
      "models--loop--z": "models--loop--z",
    });
    this.#plant(ollama, { manifests: "../outside/m" });
    this.#before = this.#elsewhere();
  }

  #plant(root: string, links: Record<string, string>): void {
    for (const [name, to] of Object.entries(links)) {
      mkdirSync(join(root, name, ".."), { recursive: true });
      symlinkSync(to, join(root, name));
    }
  }

  /** Puts a link to elsewhere in the place of a directory; false when there is none of that name. */
  swap(dir: string): boolean {
    const { models, cache, ollama } = this.place;
    const isBelow = [models, cache, ollama].some((root) => dir.startsWith(`${root}/`));
    if (!isBelow || !lstatSync(dir, { throwIfNoEntry: false })?.isDirectory()) return false;
    renameSync(dir, join(this.place.dir, `moved-${this.#moved++}`));
    symlinkSync(this.outside, dir);
    return true;
  }

  /** What has happened outside of the roots since the beginning; undefined when nothing has. */
  damage(): string | undefined {
    const now = this.#elsewhere();
    if (now === this.#before) return undefined;
    const before = new Set(this.#before.split("\n"));
    const after = new Set(now.split("\n"));
    return [
      ...[...after].filter((line) => !before.has(line)).map((line) => `there is now ${line}`),
      ...[...before].filter((line) => !after.has(line)).map((line) => `gone: ${line}`),
    ].join(", ");
  }

  /** Every name, link and content beside the roots, and the identity of what may not be replaced. */
  #elsewhere(): string {
    const beside = readdirSync(this.place.dir).filter((name) => !name.startsWith("moved-"));
    const below = readdirSync(this.outside, { recursive: true, withFileTypes: true }).map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const { ino, mode, nlink } = lstatSync(path);
      const content = entry.isFile()
        ? readFileSync(path, "utf8")
        : entry.isSymbolicLink()
          ? readlinkSync(path)
          : "/";
      return [path, ino, mode, entry.isDirectory() ? "" : nlink, JSON.stringify(content)].join(" ");
    });
    return [...beside, ...below].sort().join("\n");
  }

  /** Whether this name leads to a file below one of the roots with this content. */
  has(path: string, content: string): boolean {
    const real = realpathSync(path);
    const { models, cache, ollama } = this.place;
    const isInside = [models, cache, ollama].some((root) => real.startsWith(`${root}/`));
    return isInside && readFileSync(real, "utf8") === content;
  }

  [Symbol.dispose](): void {
    this.place[Symbol.dispose]();
  }
}
