import type { Verb } from "./client.ts";
import { type AddCommand, clientOf } from "./context.ts";
import { combined, EXIT } from "./exit.ts";
import { safe } from "./format.ts";
import { addOptions, CLIENT_OPTIONS } from "./options.ts";
import { codeAndText } from "./report.ts";

const VERBS: Record<Verb, { help: string; past: string }> = {
  pause: { help: "stop for now and keep what has arrived", past: "paused" },
  resume: { help: "go on with a paused download", past: "resumed" },
  cancel: { help: "stop for good and delete partial data", past: "cancelled" },
  retry: { help: "try a failed or cancelled download again", past: "queued again" },
};

export const addControls: AddCommand = (program, context) => {
  for (const [verb, { help, past }] of Object.entries(VERBS) as [Verb, (typeof VERBS)[Verb]][]) {
    const command = program
      .command(verb)
      .description(help)
      .argument("<id...>", "model ids or UUIDs")
      .option("--json", "one JSON answer per line");
    addOptions(command, CLIENT_OPTIONS).action(
      context.action(async (ids: string[], options: Record<string, unknown>) => {
        const client = clientOf(context, options);
        const codes: number[] = [];
        for (const id of ids) {
          try {
            const answer = await client.control(id, verb);
            context.terminal.out(options.json === true ? JSON.stringify(answer) : `${safe(id)}: ${past}`);
            codes.push(EXIT.done);
          } catch (error) {
            const { code, text } = codeAndText(error);
            context.terminal.err(`modelhaul: ${safe(id)}: ${text}`);
            codes.push(code);
          }
        }
        return combined(codes);
      }),
    );
  }
};
