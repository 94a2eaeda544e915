import { type AddCommand, type Context, clientFor, configOf } from "./context.ts";
import { EXIT } from "./exit.ts";
import { size, table } from "./format.ts";
import { addOptions, CLIENT_OPTIONS, STORE_OPTIONS } from "./options.ts";
import { openSession, RemoteSession, type Session } from "./session.ts";
import type { WireFile } from "./wire.ts";

export const addFiles: AddCommand = (program, context) => {
  const command = program
    .command("files")
    .description("list the model files on disk")
    .option("--json", "one JSON object per line");
  addOptions(command, [...STORE_OPTIONS, ...CLIENT_OPTIONS]).action(
    context.action((options: Record<string, unknown>) => files(context, options)),
  );
};

async function files(context: Context, options: Record<string, unknown>): Promise<number> {
  const session = await sessionOf(context, options);
  try {
    const found = await session.files();
    const { terminal } = context;
    if (options.json === true) for (const file of found) terminal.out(JSON.stringify(file));
    else if (found.length === 0) terminal.out("no files");
    else for (const line of rows(found)) terminal.out(line);
    return EXIT.done;
  } finally {
    await session.close();
  }
}

/** For commands that only look: the daemon named or on the data folder, else our own core at rest. */
export async function sessionOf(context: Context, options: Record<string, unknown>): Promise<Session> {
  const config = configOf(context, options, "client");
  if (options.server !== undefined) return new RemoteSession(clientFor(context.services, config));
  return openSession(config, context.services, { paused: true });
}

function rows(found: readonly WireFile[]): string[] {
  // A daemon of an earlier version says less.
  const state = (file: WireFile): string =>
    file.verification ?? (file.exists === false ? "missing" : file.verified ? "verified" : "unverified");
  return table(
    ["STATE", "SIZE", "MODEL", "FILE"],
    found.map((file) => [state(file), size(file.size), file.model_id, file.local_path ?? file.path]),
  );
}
