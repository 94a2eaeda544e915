import { join } from "node:path";

export interface Child {
  /** The next line it prints; undefined when it has ended. */
  line(): Promise<string | undefined>;
  /** SIGKILL: nothing of its own can run any more. */
  kill(): void;
  exited: Promise<number>;
}

/** Starts `writer.ts` in a process of its own. */
export function child(mode: string, dataDir: string, ...prefix: string[]): Child {
  const script = join(import.meta.dir, "writer.ts");
  const process = Bun.spawn([...prefix, globalThis.process.execPath, script, mode, dataDir], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const lines = linesOf(process.stdout);
  return {
    line: async () => (await lines.next()).value ?? undefined,
    kill: () => process.kill("SIGKILL"),
    exited: process.exited,
  };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  return undefined;
}
