/** Standard output and error of a command, and the signals that end it. */

export interface Terminal {
  /** One line on standard output: results. */
  out(line: string): void;
  /** One line on standard error: progress and errors. */
  err(line: string): void;
  /** Standard error is a terminal that can redraw lines. */
  readonly interactive: boolean;
  /** Columns of that terminal. */
  width(): number;
  /** Resolves when everything written has been taken by the reader, or never will be. */
  flush(): Promise<void>;
}

/** The process's own. A reader that went away (`| head`) is not an error (F117). */
export function processTerminal(): Terminal {
  const streams = { out: watched(process.stdout), err: watched(process.stderr) };
  return {
    out: (line) => streams.out.write(`${line}\n`),
    err: (line) => streams.err.write(`${line}\n`),
    interactive: process.stderr.isTTY === true,
    width: () => process.stderr.columns || 80,
    flush: async () => {
      await Promise.all([streams.out.flush(), streams.err.flush()]);
    },
  };
}

/** `write`'s own callback comes before the bytes are out; only `drain` tells, so the last answer is kept. */
function watched(stream: NodeJS.WriteStream) {
  let closed = false;
  let drained: Promise<void> | undefined;
  const end = Promise.withResolvers<void>();
  stream.on("error", () => {
    closed = true;
    end.resolve();
  });
  return {
    write(text: string): void {
      if (closed || stream.write(text) || drained !== undefined) return;
      drained = new Promise<void>((resolve) =>
        stream.once("drain", () => {
          drained = undefined;
          resolve();
        }),
      );
    },
    flush: () => (closed ? Promise.resolve() : Promise.race([drained, end.promise])),
  };
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
export type Signal = (typeof SIGNALS)[number];

export interface Interrupts {
  /**
   * Aborted by the first signal; the reason is its name. A second one ends the process at once (F116): by then the
   * system's own way is in force again, which works also while a disk or the database holds up everything here.
   */
  readonly signal: AbortSignal;
  /** Takes the handlers off again. */
  dispose(): void;
}

export function onInterrupt(exit: (code: number) => void = (code) => process.exit(code)): Interrupts {
  const controller = new AbortController();
  const handle = (name: Signal): void => {
    if (controller.signal.aborted) exit(130);
    controller.abort(name);
    // Not before those that have come already were told.
    setImmediate(dispose);
  };
  const dispose = (): void => {
    for (const name of SIGNALS) process.off(name, handle);
  };
  for (const name of SIGNALS) process.on(name, handle);
  return { signal: controller.signal, dispose };
}
