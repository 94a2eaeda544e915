/** The command line: the list of commands, and what an error becomes. */
import { Command, CommanderError } from "commander";
import { VERSION } from "../version.ts";
import { addBackup } from "./backup.ts";
import { addCompletion } from "./completion.ts";
import type { AddCommand, Context } from "./context.ts";
import { addControls } from "./control.ts";
import { EXIT } from "./exit.ts";
import { addFiles } from "./files.ts";
import { addList } from "./list.ts";
import { addAsyncapi, addOpenapi } from "./openapi.ts";
import { addPull } from "./pull.ts";
import { codeAndText } from "./report.ts";
import { addServe } from "./serve.ts";
import type { Services } from "./service.ts";
import { addStatus } from "./status.ts";
import { processTerminal, type Terminal } from "./terminal.ts";
import { addVerify } from "./verify.ts";
import { addVersion } from "./version.ts";
import { addWatch } from "./watch.ts";

export type { OpenOptions, Service, Services } from "./service.ts";

const COMMANDS: readonly AddCommand[] = [
  addServe,
  addPull,
  addList,
  addStatus,
  addControls,
  addWatch,
  addVerify,
  addFiles,
  addBackup,
  addOpenapi,
  addAsyncapi,
  addCompletion,
  addVersion,
];

/** Runs one command; `argv` is what stands behind the program's name. Answers the exit code (DESIGN §8). */
export async function run(
  argv: readonly string[],
  services: Services,
  terminal: Terminal = processTerminal(),
): Promise<number> {
  let code: number = EXIT.done;
  const context: Context = {
    services,
    terminal,
    action:
      (work) =>
      async (...args) => {
        code = await work(...args);
      },
  };
  try {
    await createProgram(context).parseAsync([...argv], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) code = error.exitCode === 0 ? EXIT.done : EXIT.usage;
    else {
      const { code: failure, text } = codeAndText(error);
      terminal.err(`modelhaul: ${text}`);
      code = failure;
    }
  }
  await terminal.flush();
  return code;
}

function createProgram(context: Context): Command {
  const { terminal } = context;
  const trimmed = (text: string): string => text.replace(/\n$/, "");
  const program = new Command("modelhaul")
    .description("Brings model files from where they are published to where they are run.")
    .version(VERSION, "--version")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(trimmed(text)),
      writeErr: (text) => terminal.err(trimmed(text)),
    })
    .showHelpAfterError("(--help shows what can be given)");
  for (const add of COMMANDS) add(program, context);
  return program;
}
