import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { knownTarget, type TargetPath } from "../../src/core/target-path.ts";

/** A directory that goes away with the block: `using dir = tempDir()`. */
export interface TempDir extends Disposable {
  readonly path: string;
  /** A path below it. */
  at(...parts: string[]): TargetPath;
  remove(): void;
}

const open = new Set<TempDir>();

process.on("exit", () => {
  for (const dir of open) dir.remove();
});

/** Makes an empty directory. It is removed by `using`, by `remove()`, or at the latest when the process exits. */
export function tempDir(name = "test", parent = tmpdir()): TempDir {
  const path = mkdtempSync(join(parent, `modelhaul-${name}-`));
  const remove = (): void => {
    open.delete(dir);
    rmSync(path, { recursive: true, force: true });
  };
  const dir: TempDir = {
    path,
    at: (...parts) => knownTarget(join(path, ...parts)),
    remove,
    [Symbol.dispose]: remove,
  };
  open.add(dir);
  return dir;
}
