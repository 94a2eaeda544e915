import { type AddCommand, clientOf } from "./context.ts";
import { describe } from "./describe.ts";
import { EXIT } from "./exit.ts";
import { percent, safe, size } from "./format.ts";
import { addOptions, CLIENT_OPTIONS } from "./options.ts";
import type { WireDownload } from "./wire.ts";

export const addStatus: AddCommand = (program, context) => {
  const command = program
    .command("status")
    .description("show one download of a daemon in detail")
    .argument("<id>", "model id or UUID")
    .option("--json", "as JSON");
  addOptions(command, CLIENT_OPTIONS).action(
    context.action(async (id: string, options: Record<string, unknown>) => {
      const download = await clientOf(context, options).one(id);
      if (options.json === true) context.terminal.out(JSON.stringify(download));
      else for (const line of details(download)) context.terminal.out(line);
      return EXIT.done;
    }),
  );
};

function details(download: WireDownload): string[] {
  const facts: [string, string | undefined][] = [
    ["id", download.id],
    ["url", download.url],
    ["path", download.local_path],
    ["error", download.error_message],
    ["slowed by", download.bottleneck],
    ...(download.warnings ?? []).map((text): [string, string] => ["note", text]),
  ];
  return [
    describe(download),
    ...facts.flatMap(([name, value]) => (value ? [`  ${name.padEnd(10)}${safe(value)}`] : [])),
    ...(download.files ?? []).map((file) => {
      const amount =
        file.size > 0 ? `${size(file.size)} ${percent(file.bytes, file.size)}` : size(file.bytes);
      const trust = file.matches === false ? ", damaged" : file.verified ? ", verified" : "";
      return `  ${file.state.padEnd(10)}${safe(file.path)} (${amount}${trust})`;
    }),
  ];
}
