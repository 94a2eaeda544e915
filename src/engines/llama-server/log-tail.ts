const MOST_LINES = 500;
const LONGEST_LINE = 1000;

/** The last lines a process has said; the memory it takes is bounded. */
export class LogTail {
  readonly #lines: string[] = [];
  #rest = "";

  add(text: string): void {
    const lines = (this.#rest + text).split(/\r?\n|\r/);
    this.#rest = (lines.pop() ?? "").slice(0, LONGEST_LINE);
    for (const line of lines) this.#lines.push(line.slice(0, LONGEST_LINE));
    this.#lines.splice(0, this.#lines.length - MOST_LINES);
  }

  lines(): string[] {
    return this.#rest === "" ? [...this.#lines] : [...this.#lines, this.#rest];
  }

  /** For a message: the last lines that say something, on one line. */
  end(count: number): string {
    const said = this.lines().filter((line) => line.trim() !== "");
    return said
      .slice(-count)
      .map((line) => line.trim().slice(0, 300))
      .join(" | ");
  }
}
