import type { Command } from "commander";
import type { Config, Purpose } from "../config.ts";
import { Client } from "./client.ts";
import { configFlags } from "./options.ts";
import type { Services } from "./service.ts";
import type { Terminal } from "./terminal.ts";

/** What every command is made with. */
export interface Context {
  readonly services: Services;
  readonly terminal: Terminal;
  /** Makes the exit code of `work` that of the process. */
  action<A extends unknown[]>(work: (...args: A) => Promise<number>): (...args: A) => Promise<void>;
}

/** One command of `modelhaul`: adds itself to the program. */
export type AddCommand = (program: Command, context: Context) => void;

export function configOf(context: Context, options: Record<string, unknown>, purpose?: Purpose): Config {
  return context.services.loadConfig(configFlags(options), purpose);
}

/** Client for the daemon that the options name. */
export function clientOf(context: Context, options: Record<string, unknown>): Client {
  const config = configOf(context, options, "client");
  return clientFor(context.services, config);
}

/** Client for the daemon of the config, or for another one. */
export function clientFor(services: Services, config: Config, server = config.server): Client {
  return new Client({ server, apiKey: config.apiKey, http: services.connect(config, server) });
}
