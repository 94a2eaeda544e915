import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { type AddCommand, type Context, clientOf, configOf } from "./context.ts";
import { EXIT } from "./exit.ts";
import { addOptions, CLIENT_OPTIONS } from "./options.ts";

export const addOpenapi: AddCommand = (program, context) =>
  addDocument(program, context, "openapi", "the OpenAPI document of this version");

export const addAsyncapi: AddCommand = (program, context) =>
  addDocument(program, context, "asyncapi", "the AsyncAPI document of this version's live streams");

type Document = "openapi" | "asyncapi";

function addDocument(program: Command, context: Context, name: Document, what: string): void {
  const command = program.command(name).description(`print ${what}, or with --server that of a daemon`);
  addOptions(command, CLIENT_OPTIONS).action(
    context.action(async (options: Record<string, unknown>) => {
      const remote = options.server !== undefined;
      const document = remote ? await clientOf(context, options)[name]() : await own(context, options, name);
      context.terminal.out(JSON.stringify(document, null, 2));
      return EXIT.done;
    }),
  );
}

/** Made by a core that rests on an empty folder, so that neither data nor lock of a daemon is touched. */
async function own(context: Context, options: Record<string, unknown>, name: Document): Promise<unknown> {
  const dir = mkdtempSync(join(tmpdir(), "modelhaul-openapi-"));
  try {
    const config = configOf(context, options, "client");
    const service = await context.services.openService(
      Object.freeze({ ...config, dataDir: dir, modelsDir: dir, logLevel: "error" as const }),
      { paused: true },
    );
    try {
      return await service[name]();
    } finally {
      await service.stop();
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
