/** The composition root: the only file that knows all rooms. */

// First of all, so that no signal comes too early.
import "./cli/early.ts";

import { readFileSync } from "node:fs";
import { join } from "node:path";
import readme from "../README.md" with { type: "text" };
import { createApi, vacate } from "./api/index.ts";
import { ProgressFiles } from "./api/wingman/files.ts";
import { run } from "./cli/index.ts";
import type { OpenOptions, Service } from "./cli/service.ts";
import { type Config, loadConfig, takeEnvironment } from "./config.ts";
import { systemClock } from "./core/clock.ts";
import { Downloads } from "./core/downloads.ts";
import { Journal } from "./core/journal.ts";
import type { Http, Log } from "./core/ports.ts";
import type { SettingsPatch } from "./core/settings.ts";
import { beginStartup, judgeStartup, type StartupEntry } from "./core/startup.ts";
import { backupDatabase } from "./db/backup.ts";
import { openDatabase } from "./db/index.ts";
import { forbidDumps } from "./dumps.ts";
import { createRuntimes } from "./engines/index.ts";
import { createHttp } from "./http/index.ts";
import { mostDescriptors, roomForReaders } from "./limits.ts";
import { createLog } from "./log.ts";
import { createSources } from "./sources/index.ts";
import { createStorage } from "./storage/index.ts";
import { rememberMounts } from "./storage/mounts.ts";
import { openSecrets } from "./storage/secrets.ts";
import { createTransfer } from "./transfer/index.ts";
import { VERSION } from "./version.ts";
import { createWebAssets } from "./web.ts";

const clock = systemClock;
const USER_AGENT = `modelhaul/${VERSION}`;

/** Opens the product on its data directory. Rejects with DownloadError `locked` when another process owns it. */
async function openService(config: Config, options: OpenOptions = {}): Promise<Service> {
  forbidDumps();
  const log = createLog({
    level: config.logLevel,
    format: config.logFormat,
    secrets: [config.apiKey, config.hfToken, config.modelscopeToken],
  });
  const addresses: { hostname: string; port: number }[] = [];
  const http = createHttp({
    userAgent: USER_AGENT,
    // With no key and only loopback listeners the caller is the local user (FAULTS, head).
    allowPrivate: config.apiKey === null && !config.noAuth,
    allowAddresses: [...config.allowAddress],
    ...(config.proxy === null ? {} : { proxy: config.proxy }),
    // What runs on this machine, such as an Ollama server, is not outside.
    noProxy: ["localhost", "127.0.0.0/8", "::1"],
    ...(config.caFile === null ? {} : { caFile: config.caFile }),
    ownPorts: () => addresses.map(({ hostname, port }) => ({ host: hostname, port })),
    clock,
    log,
  });
  const sources = createSources({
    http,
    hfEndpoint: config.hfEndpoint,
    ollamaUrl: config.ollamaUrl,
    ...(config.hfToken === null ? {} : { hfToken: config.hfToken }),
    modelscopeEndpoint: config.modelscopeEndpoint,
    ...(config.modelscopeToken === null ? {} : { modelscopeToken: config.modelscopeToken }),
    ollamaRegistry: config.ollamaRegistry,
    clock,
    log,
  });
  const { startup, signal, onlyNamed = false, ...settings } = options;
  const entries = judgeStartup(sources, config, startup ?? []);
  const db = await openDatabase({ dataDir: config.dataDir, clock, log, ...(signal && { signal }) });
  const transfer = createTransfer({ http, clock, log, connectionsPerDownload: config.connections });
  const downloads = await Downloads.open(
    {
      db,
      clock,
      log,
      transfer,
      digests: transfer.digests,
      sources,
      storage: createStorage({
        modelsDir: config.modelsDir,
        hfCacheDir: config.hfCache,
        ollamaModelsDir: config.ollamaModels,
        mounts: await rememberMounts(db, log),
        clock,
        log,
      }),
      runtimes: createRuntimes({
        standard: config.engineRuntime,
        llamaServer: config.llamaServer,
        ollamaUrl: config.ollamaUrl,
        digests: transfer.digests,
        environment,
        http,
        clock,
        log,
      }),
      secrets: await openSecrets(config.dataDir, log),
      journal: new Journal(db, clock, log),
    },
    {
      layout: config.layout,
      lingerMs: config.linger,
      keepPartialsMs: config.keepPartials,
      historyMs: config.history,
      onlyNamed,
      settings: { ...givenSettings(config), ...settings },
      ...(startup && { wanted: entries.map(({ key }) => key) }),
    },
  );
  const progress = new ProgressFiles({ downloads, dir: join(config.dataDir, "progress"), log });
  const close = [
    () => downloads.close(),
    () => progress.close(),
    () => transfer.close(),
    async () => http.close(),
    () => db.close(),
  ];
  return serviceOf({ config, log, downloads, progress, entries, addresses, close });
}

interface Parts {
  config: Config;
  log: Log;
  downloads: Downloads;
  progress: ProgressFiles;
  entries: readonly StartupEntry[];
  addresses: { hostname: string; port: number }[];
  /** In this order. */
  close: (() => Promise<void>)[];
}

function serviceOf({ config, log, downloads, progress, entries, addresses, close }: Parts): Service {
  let api: ReturnType<typeof createApi> | undefined;
  const build = async (): Promise<ReturnType<typeof createApi>> => {
    api ??= createApi({
      downloads,
      apiKey: config.apiKey,
      noAuth: config.noAuth,
      corsOrigins: config.corsOrigin,
      allowHosts: config.allowHost,
      version: VERSION,
      readme,
      clock,
      log,
      web: await createWebAssets(),
      webRoot: config.webRoot,
      progress,
      live: { maxReaders: roomForReaders(mostDescriptors()) },
    });
    return api;
  };
  return {
    downloads,
    log,
    async listen() {
      await progress.ready;
      if (config.unix !== null) await vacate(config.unix);
      const bound = (await build()).start(config.listen, config.unix);
      addresses.push(...bound);
      const urls = bound.map(
        ({ hostname, port }) => `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`,
      );
      return config.unix === null ? urls : [...urls, `unix:${config.unix}`];
    },
    startup: (signal) => beginStartup(downloads, entries, log, signal),
    openapi: async () => (await build()).openapi(),
    asyncapi: async () => (await build()).asyncapi(),
    async stop() {
      await api?.stop();
      for (const part of close) await part();
    },
  };
}

/** Settings that somebody named on the command line, in the environment or the file: they beat the saved ones. */
function givenSettings(config: Config): SettingsPatch {
  const { given } = config;
  return {
    ...(given.has("maxConcurrent") && { maxConcurrent: config.maxConcurrent }),
    ...(given.has("connections") && { connectionsPerDownload: config.connections }),
    ...(given.has("rateLimit") && { rateLimit: config.rateLimit }),
  };
}

/** A client's failures are told by the command itself. */
const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** For commands that talk to the operator's own daemon: wherever it is, and never through a proxy. */
function connect(config: Config, server: string): Http {
  return createHttp({
    ...(server.startsWith("unix:") ? { socket: server.slice("unix:".length) } : {}),
    userAgent: USER_AGENT,
    allowPrivate: true,
    allowAddresses: [],
    ...(config.caFile === null ? {} : { caFile: config.caFile }),
    clock,
    log: SILENT,
  });
}

const environment = takeEnvironment();
const readText = (path: string): string => readFileSync(path, "utf8");

process.exitCode = await run(process.argv.slice(2), {
  loadConfig: (flags, purpose) => loadConfig(flags, environment, readText, { ...(purpose && { purpose }) }),
  openService,
  backup: backupDatabase,
  connect,
});
