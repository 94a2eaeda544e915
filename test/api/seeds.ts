import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const SEEDS = join(import.meta.dir, "../../../shared/seeds");

/** A seed's own text; undefined, with a word on the console, where the seeds are not. */
export function seed(number: string): string | undefined {
  const name = existsSync(SEEDS) ? readdirSync(SEEDS).find((file) => file.startsWith(number)) : undefined;
  if (name !== undefined) return readFileSync(join(SEEDS, name), "utf8");
  console.warn(`SKIPPED: seed ${number} is not at ../shared/seeds`);
  return undefined;
}

/** The code blocks of one language in a seed, in order. */
export function blocks(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g"))].map(
    ([, code]) => code ?? "",
  );
}
