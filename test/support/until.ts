/** A truthy value, or anything falsy for "not yet". */
type Check<T> = () => T | Promise<T>;

export interface UntilOptions {
  timeoutMs?: number;
  everyMs?: number;
}

/**
 * Asks again and again until the answer is truthy, and returns it: for what no event tells of, such as another
 * process' API. A check that throws counts as "not yet". Fails with what was awaited and what was seen last.
 */
export async function until<T>(
  check: Check<T>,
  what: string,
  { timeoutMs = 10_000, everyMs = 20 }: UntilOptions = {},
): Promise<NonNullable<Exclude<T, false | 0 | "">>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const seen = await attempt(check);
    if ("value" in seen && seen.value) return seen.value as NonNullable<Exclude<T, false | 0 | "">>;
    if (performance.now() >= deadline) {
      const last = "error" in seen ? String(seen.error) : JSON.stringify(seen.value);
      throw new Error(`waited ${timeoutMs} ms for ${what}; last seen: ${last}`);
    }
    await Bun.sleep(everyMs);
  }
}

async function attempt<T>(check: Check<T>): Promise<{ value: T } | { error: unknown }> {
  try {
    return { value: await check() };
  } catch (error) {
    return { error };
  }
}

/** The lines that a process prints, read as they come so that it never blocks on a full pipe. */
export class Lines {
  readonly all: string[] = [];
  /** Resolves when the stream has ended and all is in `all`. */
  readonly closed: Promise<void>;
  private ended = false;
  private readonly watchers = new Set<() => void>();

  constructor(stream: ReadableStream<Uint8Array>) {
    this.closed = this.drain(stream);
  }

  private async drain(stream: ReadableStream<Uint8Array>): Promise<void> {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = parts.pop() ?? "";
      this.note(parts);
    }
    this.ended = true;
    this.note(rest === "" ? [] : [rest]);
  }

  private note(lines: readonly string[]): void {
    this.all.push(...lines);
    for (const look of [...this.watchers]) look();
  }

  /** The first line, past or to come, that matches. Fails when the stream ends or time is up, showing what there was. */
  waitFor(pattern: RegExp, timeoutMs = 10_000): Promise<string> {
    return new Promise((resolve, reject) => {
      const settle = (end: () => void): void => {
        clearTimeout(timer);
        this.watchers.delete(look);
        end();
      };
      const fail = (why: string): void =>
        settle(() =>
          reject(new Error(`no line like ${pattern} ${why}; last lines:\n${this.all.slice(-20).join("\n")}`)),
        );
      const look = (): void => {
        const line = this.all.find((it) => pattern.test(it));
        if (line !== undefined) settle(() => resolve(line));
        else if (this.ended) fail("before the output ended");
      };
      const timer = setTimeout(() => fail(`within ${timeoutMs} ms`), timeoutMs);
      this.watchers.add(look);
      look();
    });
  }
}
