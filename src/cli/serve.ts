import { chmodSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type { Config } from "../config.ts";
import type { Log } from "../core/ports.ts";
import { type AddCommand, type Context, configOf } from "./context.ts";
import { EXIT } from "./exit.ts";
import { addOptions, SERVE_OPTIONS } from "./options.ts";
import type { Service } from "./service.ts";
import { type DaemonNote, notePath } from "./session.ts";
import { startupRequests } from "./startup.ts";
import { onInterrupt } from "./terminal.ts";

/** A stop that takes longer is cut: receipts on disk make up for it at the next start. */
const STOP_MS = 5000;

export const addServe: AddCommand = (program, context) => {
  const command = program
    .command("serve")
    .description("run the daemon: REST, events, web page, downloads that go on across restarts");
  addOptions(command, SERVE_OPTIONS).action(
    context.action((options: Record<string, unknown>) => serve(context, options)),
  );
};

async function serve(context: Context, options: Record<string, unknown>): Promise<number> {
  const config = configOf(context, options, "serve");
  const startup = startupRequests(config.startup);
  const interrupts = onInterrupt();
  const service = await context.services.openService(config, { startup });
  const unguard = surviveStrayErrors(service.log);
  try {
    for (const warning of config.warnings) service.log.warn(warning);
    const urls = await service.listen();
    writeNote(config, { urls, pid: process.pid });
    for (const url of urls) context.terminal.out(`listening on ${url}`);
    const stopped = aborted(interrupts.signal);
    // A disk that hangs while it is asked for files must not keep the daemon from stopping.
    await Promise.race([service.startup(interrupts.signal), stopped]);
    await stopped;
    service.log.info("stopping", { signal: interrupts.signal.reason });
  } finally {
    rmSync(notePath(config), { force: true });
    await stopInTime(service);
    unguard();
    interrupts.dispose();
  }
  return EXIT.done;
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}

async function stopInTime(service: Service): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<"late">();
  const timer = setTimeout(() => resolve("late"), STOP_MS);
  try {
    if ((await Promise.race([service.stop(), promise])) !== "late") return;
    service.log.warn("stopped before everything had let go; the next start repairs it");
    // Whatever hangs would keep the process alive; standard output gets a moment.
    setTimeout(() => process.exit(EXIT.done), 100);
  } catch (error) {
    service.log.error("could not stop cleanly; the next start repairs it", { error });
  } finally {
    clearTimeout(timer);
  }
}

/** An error nobody caught is told, and the daemon goes on (F115): Bun would end the process. */
function surviveStrayErrors(log: Log): () => void {
  const tell = (error: unknown): void =>
    log.error("an error nobody handled", { error, stack: error instanceof Error ? error.stack : undefined });
  process.on("unhandledRejection", tell);
  process.on("uncaughtException", tell);
  return () => {
    process.off("unhandledRejection", tell);
    process.off("uncaughtException", tell);
  };
}

/** Where other commands find this daemon; for the owner's eyes, complete or not there. */
function writeNote(config: Config, note: DaemonNote): void {
  const path = notePath(config);
  writeFileSync(`${path}.new`, JSON.stringify(note), { mode: 0o600 });
  chmodSync(`${path}.new`, 0o600);
  renameSync(`${path}.new`, path);
}
