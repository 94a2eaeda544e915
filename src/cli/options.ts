/** The command line's shape, from the one table of options. */
import { type Command, Option } from "commander";
import { type Flags, flagName } from "../config.ts";
import { OPTIONS, type Options } from "../config-options.ts";

type Name = keyof Options;

/** What the client commands need to reach a daemon. */
export const CLIENT_OPTIONS = ["server", "apiKey", "apiKeyFile", "caFile"] as const satisfies Name[];

/** What decides where bytes come from and go to, with or without a listener. */
export const STORE_OPTIONS = [
  "dataDir",
  "modelsDir",
  "connections",
  "rateLimit",
  "layout",
  "hfCache",
  "hfEndpoint",
  "modelscopeEndpoint",
  "ollamaUrl",
  "ollamaRegistry",
  "ollamaModels",
  "allowAddress",
  "proxy",
  "logLevel",
  "logFormat",
] as const satisfies Name[];

export const SERVE_OPTIONS = (Object.keys(OPTIONS) as Name[]).filter((name) => name !== "server");

/** Adds flags made from the table, and `--config`. Their values stay text: `loadConfig` judges them. */
export function addOptions(command: Command, names: readonly Name[]): Command {
  for (const name of names) {
    const { placeholder, list, help } = OPTIONS[name];
    const option = new Option(placeholder ? `${flagName(name)} <${placeholder}>` : flagName(name), help);
    if (list === true) option.argParser((text: string, before: string[] = []) => [...before, text]);
    command.addOption(option);
  }
  return command.option("--config <FILE>", "read further settings from this TOML file");
}

/** Commander takes `--no-auth` as `auth: false`; the table calls it `noAuth`. */
export function configFlags(options: Record<string, unknown>): Flags {
  const { auth, ...rest } = options;
  const known = Object.entries(rest).filter(([name]) => name in OPTIONS || name === "config");
  return { ...Object.fromEntries(known), ...(auth === false ? { noAuth: true } : {}) };
}

/** For flags of a single command that may be given several times. */
export const collect = (text: string, before: string[] = []): string[] => [...before, text];
