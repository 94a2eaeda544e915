import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AddCommand, type Context, clientOf, configOf } from "./context.ts";
import { EXIT } from "./exit.ts";
import { addOptions, CLIENT_OPTIONS } from "./options.ts";

export const addOpenapi: AddCommand = (program, context) => {
  const command = program
    .command("openapi")
    .description("print the OpenAPI document of this version, or with --server that of a daemon");
  addOptions(command, CLIENT_OPTIONS).action(
    context.action(async (options: Record<string, unknown>) => {
      const remote = options.server !== undefined;
      const document = remote ? await clientOf(context, options).openapi() : await own(context, options);
      context.terminal.out(JSON.stringify(document, null, 2));
      return EXIT.done;
    }),
  );
};

/** Made by a core that rests on an empty folder, so that neither data nor lock of a daemon is touched. */
async function own(context: Context, options: Record<string, unknown>): Promise<unknown> {
  const dir = mkdtempSync(join(tmpdir(), "modelhaul-openapi-"));
  try {
    const config = configOf(context, options, "client");
    const service = await context.services.openService(
      Object.freeze({ ...config, dataDir: dir, modelsDir: dir, logLevel: "error" as const }),
      { paused: true },
    );
    try {
      return await service.openapi();
    } finally {
      await service.stop();
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
