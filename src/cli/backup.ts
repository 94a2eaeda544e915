import { resolve } from "node:path";
import { type AddCommand, type Context, configOf } from "./context.ts";
import { EXIT } from "./exit.ts";
import { safe, size } from "./format.ts";
import { addOptions } from "./options.ts";

export const addBackup: AddCommand = (program, context) => {
  const command = program
    .command("backup")
    .description("write a copy of the database to a new file, whether the service runs or not")
    .argument("<file>", "file to make; one that exists is not overwritten")
    .option("--json", "what was written, as JSON");
  addOptions(command, ["dataDir"]).action(
    context.action((file: string, options: Record<string, unknown>) => backup(context, file, options)),
  );
};

async function backup(context: Context, name: string, options: Record<string, unknown>): Promise<number> {
  const { dataDir } = configOf(context, options, "client");
  const file = resolve(name);
  const { bytes, downloads } = context.services.backup(dataDir, file);
  const { terminal } = context;
  if (options.json === true) terminal.out(JSON.stringify({ file, bytes, downloads }));
  else terminal.out(`${safe(file)}: ${downloads} downloads, ${size(bytes)}`);
  return EXIT.done;
}
