/** Flags > environment > config file -> one frozen, validated Config. The only file that reads `process.env`. */
import { dirname, join } from "node:path";
import { apiKey, hfHome, OPTIONS, type Options } from "./config-options.ts";
import * as value from "./config-values.ts";
import { withoutSecrets } from "./core/redact.ts";

export type { EngineRuntimeName, LogFormat, LogLevel, Options } from "./config-options.ts";
export type { Listener } from "./config-values.ts";

export interface Config extends Options {
  /** Hub token of the environment, as Hugging Face's own tools look it up; a secret. */
  hfToken: string | null;
  /** ModelScope token of the environment (`MODELSCOPE_API_TOKEN`); a secret. */
  modelscopeToken: string | null;
  /** The `[[startup]]` tables of the config file as they stand there; `cli/startup.ts` reads them. */
  startup: readonly StartupTable[];
  /** Options that somebody set; the others hold their default, so a stored setting may win over them. */
  given: ReadonlySet<keyof Options>;
  /** Worth telling at start, once. */
  warnings: readonly string[];
}

export type StartupTable = Readonly<Record<string, unknown>>;

export type Environment = Readonly<Record<string, string | undefined>>;

/** A bad or unknown setting: the message names the flag, variable or key (F118). */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

const NAMES = Object.keys(OPTIONS) as (keyof Options)[];
const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
export const flagName = (name: keyof Options): string => `--${kebab(name)}`;
const variable = (name: string): string => `MODELHAUL_${kebab(name).replaceAll("-", "_").toUpperCase()}`;

/** Flags by option name in camel case, as the command line parsed them; `config` is the file. */
export type Flags = Readonly<Record<string, unknown>>;

/** Reads a small text file; throws as `node:fs` does. */
export type ReadFile = (path: string) => string;

/** A value somebody gave, where, and how to call it in a message. */
interface Given {
  level: "flag" | "environment" | "file";
  texts: string[];
  label: string;
  parse(text: string, place: value.Place): unknown;
  base: string;
}

/**
 * Merges and judges all settings. A `client` only talks to a daemon, so what the daemon listens on does not matter.
 * Throws ConfigError.
 */
export function loadConfig(
  flags: Flags,
  env: Environment,
  readFile: ReadFile,
  { purpose = "serve", platform = process.platform }: { purpose?: Purpose; platform?: NodeJS.Platform } = {},
): Config {
  const place: value.Place = { base: process.cwd(), env, platform };
  refuseUnknownVariables(env);
  const path = typeof flags.config === "string" ? flags.config : env.MODELHAUL_CONFIG || undefined;
  const file = path === undefined ? {} : readConfigFile(value.folder(path, place), readFile);
  const base = path === undefined ? place.base : dirname(value.folder(path, place));

  const given = new Map<keyof Options, Given>();
  const entries = NAMES.map((name) => {
    const found =
      fromFlags(name, flags, place) ?? fromEnvironment(name, env, place) ?? fromFile(name, file, base);
    if (found !== undefined) given.set(name, found);
    return [name, found === undefined ? OPTIONS[name].fallback(place) : parsed(name, found, place)] as const;
  });
  const options = Object.fromEntries(entries) as unknown as Options;

  const config: Config = {
    ...options,
    // Who names a socket wants nobody at a port, unless he says so.
    listen: options.unix !== null && !given.has("listen") ? [] : options.listen,
    apiKey: theKey(options, given, readFile),
    hfToken: hubToken(place, readFile),
    modelscopeToken: env.MODELSCOPE_API_TOKEN?.trim() || null,
    startup: startupTables(file),
    given: new Set(given.keys()),
    warnings: Object.freeze(warnings(flags, env)),
  };
  if (purpose === "serve") refuseOpenListeners(config);
  for (const entry of Object.values(config)) if (Array.isArray(entry)) Object.freeze(entry);
  return Object.freeze(config);
}

export type Purpose = "serve" | "client";

function parsed(name: keyof Options, given: Given, place: value.Place): unknown {
  const results = given.texts.map((text) => {
    try {
      if (text.trim() === "") throw new Error("expected a value");
      return given.parse(text, { ...place, base: given.base });
    } catch (error) {
      const shown = OPTIONS[name].secret === true ? "" : ` ${JSON.stringify(withoutSecrets(text))}`;
      throw new ConfigError(`${given.label}${shown}: ${error instanceof Error ? error.message : error}`);
    }
  });
  return OPTIONS[name].list === true ? results.flat() : results.at(-1);
}

function fromFlags(name: keyof Options, flags: Flags, place: value.Place): Given | undefined {
  const raw = flags[name];
  if (raw === undefined) return undefined;
  const texts = (Array.isArray(raw) ? raw : [raw]).map(String);
  return { level: "flag", texts, label: flagName(name), parse: OPTIONS[name].parse, base: place.base };
}

function fromEnvironment(name: keyof Options, env: Environment, place: value.Place): Given | undefined {
  const option = OPTIONS[name];
  for (const label of [variable(name), ...(option.foreign ?? [])]) {
    const text = env[label];
    if (text === undefined || text === "") continue;
    const parse = label.startsWith("MODELHAUL_") ? option.parse : (option.foreignParse ?? option.parse);
    const texts = option.list === true ? text.split(",").map((part) => part.trim()) : [text];
    return { level: "environment", texts, label, parse, base: place.base };
  }
  return undefined;
}

function fromFile(name: keyof Options, file: Record<string, unknown>, base: string): Given | undefined {
  const key = kebab(name);
  const raw = file[key];
  if (raw === undefined) return undefined;
  const label = `${key} in the config file`;
  const values = Array.isArray(raw) ? raw : [raw];
  if (Array.isArray(raw) && OPTIONS[name].list !== true)
    throw new ConfigError(`${label}: expected one value`);
  if (values.some((one) => !["string", "number", "boolean"].includes(typeof one)))
    throw new ConfigError(`${label}: expected text, a number or true/false`);
  return { level: "file", texts: values.map(String), label, parse: OPTIONS[name].parse, base };
}

const STARTUP = "startup";

function startupTables(file: Record<string, unknown>): StartupTable[] {
  const tables = file[STARTUP] ?? [];
  const isTable = (one: unknown): boolean => typeof one === "object" && one !== null && !Array.isArray(one);
  if (Array.isArray(tables) && tables.every(isTable)) return tables;
  throw new ConfigError(`${STARTUP} in the config file: write each download as a [[${STARTUP}]] table`);
}

/** TOML with the flags' names as keys, flat, and `[[startup]]` tables. */
function readConfigFile(path: string, readFile: ReadFile): Record<string, unknown> {
  let file: Record<string, unknown>;
  try {
    file = Bun.TOML.parse(readFile(path)) as Record<string, unknown>;
  } catch (error) {
    throw new ConfigError(`--config ${path}: ${error instanceof Error ? error.message : "cannot be read"}`);
  }
  const known = new Set([STARTUP, ...NAMES.map(kebab)]);
  for (const key of Object.keys(file))
    if (!known.has(key)) throw new ConfigError(`--config ${path}: unknown key "${key}"`);
  return file;
}

function refuseUnknownVariables(env: Environment): void {
  const known = new Set(["MODELHAUL_CONFIG", ...NAMES.map(variable)]);
  for (const name of Object.keys(env))
    if (name.startsWith("MODELHAUL_") && !known.has(name))
      throw new ConfigError(`${name}: no such setting; see modelhaul serve --help`);
}

/** Whoever reaches an open port controls the service, so that takes a key or an explicit word (A15, F187). */
function refuseOpenListeners(config: Options): void {
  const open = config.listen.find((listener) => !value.isLoopback(listener));
  if (open === undefined || config.apiKey !== null || config.noAuth) return;
  throw new ConfigError(
    `--listen ${open.host}:${open.port}: other machines can reach this address; ` +
      "give --api-key-file FILE, or --no-auth to allow everybody",
  );
}

/** The key or the key file, whichever was said closer to the command; both in one place are a contradiction. */
function theKey(options: Options, given: ReadonlyMap<string, Given>, readFile: ReadFile): string | null {
  const path = options.apiKeyFile;
  if (path === null) return options.apiKey;
  const levels = ["flag", "environment", "file"] as const;
  const key = given.get("apiKey");
  const file = given.get("apiKeyFile");
  const rank = (one: Given | undefined) => (one === undefined ? 3 : levels.indexOf(one.level));
  if (rank(key) === rank(file))
    throw new ConfigError(`${key?.label} and ${file?.label}: give only one of them`);
  if (rank(key) < rank(file)) return options.apiKey;
  try {
    return apiKey(readFile(path));
  } catch (error) {
    throw new ConfigError(`${file?.label} ${path}: ${error instanceof Error ? error.message : error}`);
  }
}

/** HF_TOKEN, then its old name, then the file of `hf auth login` (protocols/huggingface.md §2). */
function hubToken(place: value.Place, readFile: ReadFile): string | null {
  const { env } = place;
  if (/^(1|on|yes|true)$/i.test(env.HF_HUB_DISABLE_IMPLICIT_TOKEN ?? "")) return null;
  const direct = (env.HF_TOKEN ?? "").trim() || (env.HUGGING_FACE_HUB_TOKEN ?? "").trim();
  if (direct !== "") return direct;
  try {
    return readFile(value.folder(env.HF_TOKEN_PATH || join(hfHome(place), "token"), place)).trim() || null;
  } catch {
    return null;
  }
}

const PROXY_VARIABLE = /^(https?|all)_proxy$/i;

function warnings(flags: Flags, env: Environment): string[] {
  const proxies = Object.keys(env).filter((name) => PROXY_VARIABLE.test(name) && env[name] !== "");
  return [
    ...(proxies.length > 0 ? [`${proxies.join(", ")} set but not used; give --proxy URL for a proxy`] : []),
    ...(flags.apiKey !== undefined
      ? ["--api-key can be read in the process list by other users; prefer --api-key-file"]
      : []),
  ];
}

/**
 * The environment at start. Takes the proxy variables away from the process, because Bun's `fetch` obeys them
 * whatever it is told (DESIGN §6); they stay in the copy returned. Call once, before any request.
 */
export function takeEnvironment(): Environment {
  const env = { ...process.env };
  for (const name of Object.keys(env)) if (PROXY_VARIABLE.test(name)) delete process.env[name];
  return env;
}
