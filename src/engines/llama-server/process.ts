/** One child process that ends with us, however we end. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";

const SHELL = "/bin/sh";
/** From asking to killing. A server that only reads its model loses nothing by it. */
const GRACE_SECONDS = 1;
/** Whatever does not end by itself within this time is killed by its group. */
const LAST_RESORT_MS = 3000;
/** How long the output of an ended process may still arrive. */
const OUTPUT_MS = 500;

/**
 * Runs its arguments, and ends them when standard input ends: that is when we close it, and when the kernel does it for
 * us after a `kill -9` or a crash. So there are no orphans, and no process id of an earlier run has to be trusted.
 */
const GUARD = `exec 3<&0
"$@" </dev/null 3<&- &
child=$!
{ while read -r _ <&3; do :; done; kill -TERM $child; sleep ${GRACE_SECONDS}; kill -KILL $child; } >/dev/null 2>&1 &
guard=$!
wait $child
code=$?
kill $guard 2>/dev/null
exit $code`;

export interface Child {
  /** How it ended, for messages: `exited with code 1`. Never rejects. */
  readonly ended: Promise<string>;
  /** Ends it; resolves when it has ended. */
  stop(): Promise<void>;
}

/** Starts a program; `hear` gets what it says on both outputs. A program that cannot be started has ended at once. */
export function launch(
  command: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  hear: (text: string) => void,
): Child {
  // Windows has no shell of this kind: there a killed parent leaves its children, as it does with every program.
  const guarded = process.platform !== "win32" && existsSync(SHELL);
  const [program = "", ...rest] = guarded ? [SHELL, "-c", GUARD, "guard", ...command] : command;
  // A session of its own: a Ctrl-C in our terminal is for us, we end the child in order.
  const child = spawn(program, rest, { env: environment, detached: guarded, windowsHide: true });
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", hear);
  child.stdin?.on("error", () => {});
  const ended = whenEnded(child);
  return {
    ended,
    async stop() {
      const timer = setTimeout(() => kill(child, guarded), guarded ? LAST_RESORT_MS : GRACE_SECONDS * 1000);
      if (guarded) child.stdin?.destroy();
      else child.kill();
      await ended;
      clearTimeout(timer);
    },
  };
}

function whenEnded(child: ChildProcess): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  child.once("error", (error) => resolve(`could not be started (${error.message})`));
  child.once("exit", (code, signal) => {
    const how = description(code, signal);
    const timer = setTimeout(() => resolve(how), OUTPUT_MS);
    child.once("close", () => {
      clearTimeout(timer);
      resolve(how);
    });
    // The guard waits for this end of the pipe.
    child.stdin?.destroy();
  });
  return promise;
}

/** A shell says 128 and the signal's number of a child that a signal ended. */
function description(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal !== null) return `was ended by ${signal}`;
  if (code === 137) return "was killed (signal 9; perhaps the machine ran out of memory)";
  return code !== null && code > 128 ? `was ended by signal ${code - 128}` : `exited with code ${code}`;
}

function kill(child: ChildProcess, group: boolean): void {
  try {
    if (group && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    else child.kill("SIGKILL");
  } catch {
    // It has ended in the meantime.
  }
}
