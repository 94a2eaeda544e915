import { VERSION } from "../version.ts";
import type { AddCommand } from "./context.ts";
import { EXIT } from "./exit.ts";

export const addVersion: AddCommand = (program, context) => {
  program
    .command("version")
    .description("print the version")
    .option("--json", "with platform and runtime, as JSON")
    .action(
      context.action(async ({ json }: { json?: boolean }) => {
        const facts = { version: VERSION, platform: `${process.platform}-${process.arch}`, bun: Bun.version };
        context.terminal.out(json === true ? JSON.stringify(facts) : `modelhaul ${VERSION}`);
        return EXIT.done;
      }),
    );
};
