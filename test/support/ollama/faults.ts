/** What the test daemon does wrong on order. */

/**
 * Where in a pull: `start` is before the head of the answer, a number so many bytes of the model (over all its layers)
 * after the first lines, `verifying` behind the line that says so.
 */
export type At = "start" | "verifying" | number;

export type OllamaFault =
  /** `{"error": text}`: at `start` as HTTP 500, later as a line after the 200 (protocols/ollama.md §2.2). */
  | { kind: "error"; at: At; text: string }
  /** Another answer altogether, as of a proxy or of a server that is no Ollama. */
  | { kind: "respond"; status: number; body: string; headers?: Record<string, string> }
  /** The connection breaks. */
  | { kind: "cut"; at: At }
  /** An orderly end without a last line. */
  | { kind: "end"; at: At }
  /** Silence with the connection open, until `release`. */
  | { kind: "hang"; at: At }
  /** A failed part is rolled back: `completed` of the layer under way falls by so many bytes. */
  | { kind: "fall"; at: number; by: number }
  /** The answer leaves in pieces of so many bytes, wherever lines begin and end. */
  | { kind: "pieces"; bytes: number }
  /** Just these bytes after the first line, then the end, a cut or silence. */
  | { kind: "lines"; lines: readonly string[]; ending?: "end" | "cut" | "hang" };

export interface OllamaMatch {
  /** Name as asked for. */
  model?: string;
  /** The how-manieth of the pulls that match otherwise, from 1. */
  nth?: number;
  /** Only so many times. */
  times?: number;
}

export interface OllamaRule {
  hits: number;
  /** What it keeps hanging goes on, now and later. */
  release(): void;
  remove(): void;
}

/** Faults with their conditions, in the order in which they were made. */
export class OllamaRules {
  readonly #rules = new Set<Rule>();

  add(match: OllamaMatch, faults: readonly OllamaFault[]): OllamaRule {
    const rule = new Rule(match, faults, () => void this.#rules.delete(rule));
    this.#rules.add(rule);
    return rule;
  }

  /** The faults of one pull. */
  of(model: string): ActiveFault[] {
    return [...this.#rules].filter((rule) => rule.takes(model)).flatMap((rule) => rule.activate());
  }

  clear(): void {
    for (const rule of [...this.#rules]) {
      rule.release();
      rule.remove();
    }
  }
}

/** A fault of one pull; `released` resolves when its rule lets go. */
export interface ActiveFault {
  fault: OllamaFault;
  released: Promise<void>;
  done: boolean;
}

class Rule implements OllamaRule {
  hits = 0;
  readonly #match: OllamaMatch;
  readonly #faults: readonly OllamaFault[];
  readonly #released = Promise.withResolvers<void>();
  readonly remove: () => void;
  #seen = 0;

  constructor(match: OllamaMatch, faults: readonly OllamaFault[], remove: () => void) {
    this.#match = match;
    this.#faults = faults;
    this.remove = remove;
  }

  takes(model: string): boolean {
    const { model: wanted, nth, times } = this.#match;
    if (wanted !== undefined && wanted !== model) return false;
    this.#seen++;
    return (nth === undefined || nth === this.#seen) && (times === undefined || this.hits < times);
  }

  activate(): ActiveFault[] {
    this.hits++;
    return this.#faults.map((fault) => ({ fault, released: this.#released.promise, done: false }));
  }

  release(): void {
    this.#released.resolve();
  }
}
