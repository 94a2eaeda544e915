import { chmodSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type { Config } from "../config.ts";
import type { Log } from "../core/ports.ts";
import { type AddCommand, type Context, configOf } from "./context.ts";
import { earlyInterrupts } from "./early.ts";
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
  const interrupts = earlyInterrupts ?? onInterrupt();
  const { signal } = interrupts;
  try {
    const config = configOf(context, options, "serve");
    const startup = startupRequests(config.startup);
    // A signal that came while a file was being read is told now.
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (signal.aborted) return EXIT.done;
    const service = await opened(context.services.openService(config, { startup, signal }), signal);
    if (service) await serveUntil(signal, service, config, context);
  } finally {
    interrupts.dispose();
  }
  return EXIT.done;
}

/** The service once it is open; undefined when it was told to stop before, or does not get there in time then. */
async function opened(opening: Promise<Service>, signal: AbortSignal): Promise<Service | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = (): void => {
    resolve(undefined);
    endAnyway();
  };
  const hurry = (): void => {
    timer = setTimeout(late, STOP_MS);
  };
  signal.addEventListener("abort", hurry, { once: true });
  try {
    return await Promise.race([opening, promise]);
  } catch (error) {
    if (signal.aborted && error instanceof DOMException && error.name === "AbortError") return undefined;
    throw error;
  } finally {
    signal.removeEventListener("abort", hurry);
    clearTimeout(timer);
  }
}

async function serveUntil(
  signal: AbortSignal,
  service: Service,
  config: Config,
  { terminal }: Context,
): Promise<void> {
  const unguard = surviveStrayErrors(service.log);
  try {
    for (const warning of config.warnings) service.log.warn(warning);
    if (!signal.aborted) {
      const urls = await service.listen();
      writeNote(config, { urls, pid: process.pid });
      for (const url of urls) terminal.out(`listening on ${url}`);
    }
    const stopped = aborted(signal);
    // A disk that hangs while it is asked for files must not keep the daemon from stopping.
    if (!signal.aborted) await Promise.race([service.startup(signal), stopped]);
    await stopped;
    service.log.info("stopping", { signal: signal.reason });
  } finally {
    rmSync(notePath(config), { force: true });
    await stopInTime(service);
    unguard();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}

/** Whatever hangs would keep the process alive; standard output gets a moment. */
function endAnyway(): void {
  setTimeout(() => process.exit(EXIT.done), 100);
}

async function stopInTime(service: Service): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<"late">();
  const timer = setTimeout(() => resolve("late"), STOP_MS);
  try {
    if ((await Promise.race([service.stop(), promise])) !== "late") return;
    service.log.warn("stopped before everything had let go; the next start repairs it");
    endAnyway();
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
