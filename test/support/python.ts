/** Seen with Bun 1.4.4: a spawnSync between other children may report a failure that never happened. */
const TRIES = 3;

/** A Python on PATH that has huggingface_hub, or undefined, which is said in one loud line naming `what` is skipped. */
export function pythonWithHub(what: string): string | undefined {
  for (const name of ["python3", "python"]) {
    const path = Bun.which(name);
    for (let n = 0; path !== null && n < TRIES; n++) {
      if (Bun.spawnSync([path, "-c", "import huggingface_hub"], { stderr: "ignore" }).exitCode === 0)
        return path;
    }
  }
  console.warn(`SKIPPED: ${what}; needs python3 with the package huggingface_hub`);
  return undefined;
}
