import { type AddCommand, type Context, clientOf } from "./context.ts";
import { createDisplay } from "./display.ts";
import { combined, EXIT } from "./exit.ts";
import { complaint, follow } from "./follow.ts";
import { addOptions, CLIENT_OPTIONS } from "./options.ts";
import { RemoteSession } from "./session.ts";
import { onInterrupt } from "./terminal.ts";

export const addWatch: AddCommand = (program, context) => {
  const command = program
    .command("watch")
    .description("follow downloads of a daemon until they have ended; without ids all of them until Ctrl-C")
    .argument("[id...]", "model ids or UUIDs")
    .option("--json", "every change as one JSON object per line");
  addOptions(command, CLIENT_OPTIONS).action(
    context.action((ids: string[], options: Record<string, unknown>) => watch(context, ids, options)),
  );
};

async function watch(context: Context, names: string[], options: Record<string, unknown>): Promise<number> {
  const client = clientOf(context, options);
  const ids: string[] = [];
  for (const name of names) ids.push((await client.one(name)).id);
  const interrupts = onInterrupt();
  const display = createDisplay(context.terminal, { json: options.json === true });
  try {
    const wanted = ids.length === 0 ? undefined : [...new Set(ids)];
    const outcomes = await follow(new RemoteSession(client), wanted, display, interrupts.signal);
    if (wanted === undefined || outcomes.size < wanted.length) return EXIT.interrupted;
    display.end();
    for (const [id, outcome] of outcomes) {
      const text = complaint(id, outcome);
      if (text !== "") context.terminal.err(text);
    }
    return combined([...outcomes.values()].map((outcome) => outcome.code));
  } finally {
    display.end();
    interrupts.dispose();
  }
}
