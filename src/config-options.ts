/** The one table of options: flags, `MODELHAUL_…` variables and keys of the config file are all made from it. */
import { join } from "node:path";
import * as value from "./config-values.ts";
import type { LayoutName } from "./core/download.ts";

export const LOG_LEVELS = ["debug", "info", "warning", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFormat = "text" | "json";
/** Runtimes of this build, the default first; the same as in `engines/index.ts`. */
export const ENGINE_RUNTIMES = ["register", "llama-server", "ollama"] as const;
export type EngineRuntimeName = (typeof ENGINE_RUNTIMES)[number];

/** One value per option of the table below. Times in milliseconds, rates in bytes per second (0 = no limit). */
export interface Options {
  listen: readonly value.Listener[];
  /** Path of a Unix socket to listen on. */
  unix: string | null;
  dataDir: string;
  modelsDir: string;
  webRoot: string | null;
  apiKey: string | null;
  apiKeyFile: string | null;
  noAuth: boolean;
  corsOrigin: readonly string[];
  allowHost: readonly string[];
  allowAddress: readonly string[];
  maxConcurrent: number;
  connections: number;
  rateLimit: number;
  layout: LayoutName;
  hfCache: string;
  linger: number;
  keepPartials: number;
  history: number;
  hfEndpoint: string;
  modelscopeEndpoint: string;
  ollamaUrl: string;
  ollamaRegistry: string;
  ollamaModels: string;
  engineRuntime: EngineRuntimeName;
  llamaServer: string | null;
  proxy: string | null;
  caFile: string | null;
  logLevel: LogLevel;
  logFormat: LogFormat;
  /** Daemon that the client commands talk to: a base URL, or `unix:` and the path of its socket. */
  server: string;
}

export interface Option<T> {
  /** Name of the value in the help; absent for a switch. */
  placeholder?: string;
  /** May be given several times; every value may bring several elements. */
  list?: boolean;
  help: string;
  /** Never repeated in a message. */
  secret?: boolean;
  /** Variables of other tools, read after our own, with their own grammar where it differs. */
  foreign?: readonly string[];
  foreignParse?(text: string, place: value.Place): T;
  parse(text: string, place: value.Place): T;
  fallback(place: value.Place): T;
}

const none = () => null;
const size = "SIZE";
export const hfHome = (place: value.Place): string =>
  place.env.HF_HOME || join(place.env.XDG_CACHE_HOME || join(value.home(place), ".cache"), "huggingface");

export const OPTIONS: { readonly [K in keyof Options]: Option<Options[K]> } = {
  listen: {
    placeholder: "ADDRESS:PORT",
    list: true,
    help: "where to listen; repeatable; port 0 picks a free one (default: 127.0.0.1:8080 and [::1]:8080)",
    parse: value.listeners,
    fallback: () => value.loopback(8080),
  },
  unix: {
    placeholder: "PATH",
    help: "listen on this Unix socket, which only its owner can open, in place of the default ports",
    parse: value.socketPath,
    fallback: none,
  },
  dataDir: {
    placeholder: "DIR",
    help: "folder of the database and of the progress files (default: the user's data folder)",
    parse: value.folder,
    fallback: dataDir,
  },
  modelsDir: {
    placeholder: "DIR",
    help: "folder of the models (default: ./models)",
    parse: value.folder,
    fallback: (place) => value.folder("models", place),
  },
  webRoot: {
    placeholder: "DIR",
    help: "serve the files of this folder instead of the built-in page",
    parse: value.folder,
    fallback: none,
  },
  apiKey: {
    placeholder: "KEY",
    help: "API key: serve asks for it, other commands send it; --api-key-file keeps it off the process list",
    secret: true,
    parse: apiKey,
    fallback: none,
  },
  apiKeyFile: {
    placeholder: "FILE",
    help: "file with that key",
    parse: value.folder,
    fallback: none,
  },
  noAuth: {
    help: "listen beyond loopback without a key; whoever reaches the port controls the service",
    parse: value.flag,
    fallback: () => false,
  },
  corsOrigin: {
    placeholder: "ORIGIN",
    list: true,
    help: "let web pages of this origin use the API; repeatable",
    parse: (text) => [value.origin(text)],
    fallback: () => [],
  },
  allowHost: {
    placeholder: "NAME",
    list: true,
    help: "further name this service is reached under; repeatable",
    parse: (text) => [value.hostName(text)],
    fallback: () => [],
  },
  allowAddress: {
    placeholder: "CIDR|HOST",
    list: true,
    help: "private network or host that downloads may come from; repeatable",
    parse: (text) => [value.addressOrHost(text)],
    fallback: () => [],
  },
  maxConcurrent: {
    placeholder: "N",
    help: "downloads at the same time (default: 3)",
    parse: value.wholeNumber(1, 100),
    fallback: () => 3,
  },
  connections: {
    placeholder: "N",
    help: "most connections per download (default: 8)",
    parse: value.wholeNumber(1, 64),
    fallback: () => 8,
  },
  rateLimit: {
    placeholder: size,
    help: "most bytes per second, such as 50MB (default: 0, no limit)",
    parse: value.size,
    fallback: () => 0,
  },
  layout: {
    placeholder: "flat|hf-cache",
    help: "plain files, or the Hugging Face cache layout (default: flat)",
    parse: value.oneOf("flat", "hf-cache"),
    fallback: () => "flat",
  },
  hfCache: {
    placeholder: "DIR",
    help: "Hugging Face cache folder (default: as HF_HUB_CACHE and HF_HOME say)",
    foreign: ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"],
    parse: value.folder,
    fallback: (place) => value.folder(join(hfHome(place), "hub"), place),
  },
  linger: {
    placeholder: "TIME",
    help: "how long finished downloads stay in the active list (default: 15s)",
    parse: value.duration,
    fallback: () => value.duration("15s"),
  },
  keepPartials: {
    placeholder: "TIME",
    help: "how long partial data of a failed download is kept for a retry (default: 24h)",
    parse: value.duration,
    fallback: () => value.duration("24h"),
  },
  history: {
    placeholder: "TIME",
    help: "how long records of finished downloads are kept (default: 30d)",
    parse: value.duration,
    fallback: () => value.duration("30d"),
  },
  hfEndpoint: {
    placeholder: "URL",
    help: "Hugging Face hub or a mirror of it (default: https://huggingface.co, or HF_ENDPOINT)",
    foreign: ["HF_ENDPOINT"],
    parse: value.httpUrl,
    fallback: () => "https://huggingface.co",
  },
  modelscopeEndpoint: {
    placeholder: "URL",
    help: "ModelScope site or a mirror of it (default: https://modelscope.cn, or MODELSCOPE_ENDPOINT)",
    foreign: ["MODELSCOPE_ENDPOINT", "MODELSCOPE_DOMAIN"],
    foreignParse: (text) => value.httpUrl(text.includes("://") ? text : `https://${text}`),
    parse: value.httpUrl,
    fallback: ({ env }) =>
      /^(1|on|yes|true)$/i.test(env.MODELSCOPE_PREFER_AI_SITE ?? "")
        ? "https://www.modelscope.ai"
        : "https://modelscope.cn",
  },
  ollamaUrl: {
    placeholder: "URL",
    help: "Ollama server (default: http://127.0.0.1:11434, or OLLAMA_HOST)",
    foreign: ["OLLAMA_HOST"],
    foreignParse: value.ollamaHost,
    parse: value.httpUrl,
    fallback: () => "http://127.0.0.1:11434",
  },
  ollamaRegistry: {
    placeholder: "URL",
    help: "registry of Ollama's own models, or a mirror of it (default: https://registry.ollama.ai)",
    parse: value.httpUrl,
    fallback: () => "https://registry.ollama.ai",
  },
  ollamaModels: {
    placeholder: "DIR",
    help: "Ollama's models folder, for what comes without an Ollama (default: ~/.ollama/models, or OLLAMA_MODELS)",
    foreign: ["OLLAMA_MODELS"],
    parse: value.folder,
    fallback: (place) => join(value.home(place), ".ollama", "models"),
  },
  engineRuntime: {
    placeholder: "NAME",
    help: `what creates an engine: ${ENGINE_RUNTIMES.join(", ")} (default: register)`,
    parse: value.oneOf(...ENGINE_RUNTIMES),
    fallback: () => "register",
  },
  llamaServer: {
    placeholder: "PATH",
    help: "program of the llama-server runtime (default: llama-server on PATH)",
    parse: value.folder,
    fallback: none,
  },
  proxy: {
    placeholder: "URL",
    help: "send every request to the outside through this HTTP proxy (HTTP_PROXY and its kin are not read)",
    secret: true,
    parse: value.proxyUrl,
    fallback: none,
  },
  caFile: {
    placeholder: "FILE",
    help: "trust these PEM certificates too",
    parse: value.folder,
    fallback: none,
  },
  logLevel: {
    placeholder: "LEVEL",
    help: `${LOG_LEVELS.join(", ")} (default: info)`,
    parse: value.oneOf(...LOG_LEVELS),
    fallback: () => "info",
  },
  logFormat: {
    placeholder: "text|json",
    help: "form of the log lines on standard error (default: text)",
    parse: value.oneOf("text", "json"),
    fallback: () => "text",
  },
  server: {
    placeholder: "URL",
    help: "daemon to talk to, unix:PATH for a Unix socket (default: http://127.0.0.1:8080)",
    parse: value.serverUrl,
    fallback: () => "http://127.0.0.1:8080",
  },
};

export function apiKey(text: string): string {
  const key = text.trim();
  if (!/^[\x21-\x7e]{8,512}$/.test(key))
    throw new Error("expected 8 to 512 printable characters without spaces");
  return key;
}

function dataDir(place: value.Place): string {
  const { env, platform } = place;
  const xdg = env.XDG_DATA_HOME ?? "";
  if (xdg.startsWith("/")) return join(xdg, "modelhaul");
  if (platform === "darwin") return join(value.home(place), "Library", "Application Support", "modelhaul");
  if (platform === "win32")
    return join(env.LOCALAPPDATA || join(value.home(place), "AppData", "Local"), "modelhaul");
  return join(value.home(place), ".local", "share", "modelhaul");
}
