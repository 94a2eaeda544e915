import { systemClock } from "../../src/core/clock.ts";
import { Downloads, type DownloadsOptions, type Snapshot } from "../../src/core/downloads.ts";
import { Journal } from "../../src/core/journal.ts";
import type { Clock, Database, Log, StartRequest } from "../../src/core/ports.ts";
import { beginStartup, judgeStartup } from "../../src/core/startup.ts";
import { openDatabase } from "../../src/db/index.ts";
import type { SystemCalls } from "../../src/db/system.ts";
import { createRuntimes, type RuntimeOptions } from "../../src/engines/index.ts";
import { createHttp } from "../../src/http/index.ts";
import type { Connect } from "../../src/http/plain/connection.ts";
import { createSources } from "../../src/sources/index.ts";
import type { Disk } from "../../src/storage/disk.ts";
import { createStorage } from "../../src/storage/index.ts";
import { rememberMounts } from "../../src/storage/mounts.ts";
import { openSecrets } from "../../src/storage/secrets.ts";
import { createTransfer } from "../../src/transfer/index.ts";
import { tempDir } from "./temp.ts";

export interface Product {
  downloads: Downloads;
  db: Database;
  dir: string;
  models: string;
  /** Ollama's models directory. */
  ollama: string;
  /** Starts what `startup` named; answers what was logged as an error. */
  begin(): Promise<string[]>;
  /** Resolves with the download once it is in one of these states. */
  reaches(id: string, ...states: Snapshot["state"][]): Promise<Snapshot>;
  /** Resolves with the first snapshot of the download, now or to come, that `holds`. */
  reachesSuch(id: string, holds: (snapshot: Snapshot) => boolean): Promise<Snapshot>;
  /** Resolves once so many bytes of the download have arrived. */
  has(id: string, bytes: number): Promise<Snapshot>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface ProductOptions extends Partial<DownloadsOptions> {
  /** Data and models stay where they are when the product is opened again on it. */
  dir?: string;
  hfEndpoint?: string;
  ollamaUrl?: string;
  hfToken?: string;
  modelscopeEndpoint?: string;
  modelscopeToken?: string;
  /** Registry that stands for Ollama's own. */
  ollamaRegistry?: string;
  minFreeBytes?: number;
  /** How long `reaches` and its kin wait; default 20 s. */
  patienceMs?: number;
  /** Puts something between core and the database. */
  database?(db: Database): Database;
  /** The system's own unless given. */
  clock?: Clock;
  /** What the rooms ask of the system, when it is not the system itself. */
  system?: { disk?: Disk; database?: SystemCalls; connect?: Connect };
  log?: Log;
  /** What the engine runtimes are given beside the defaults. */
  engines?: Partial<RuntimeOptions>;
  /** Downloads that are wanted at every start. */
  startup?: StartRequest[];
}

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** The real rooms put together as `main` does it, without listeners. */
export async function openProduct(options: ProductOptions = {}): Promise<Product> {
  const {
    dir: given,
    hfEndpoint,
    ollamaUrl,
    hfToken,
    modelscopeEndpoint,
    modelscopeToken,
    ollamaRegistry,
    minFreeBytes,
    patienceMs = 20_000,
    startup,
    engines,
    system = {},
    clock = systemClock,
    log = process.env.TEST_LOG ? console : quiet,
    database = (real) => real,
    ...rest
  } = options;
  const temp = given === undefined ? tempDir("product") : undefined;
  const dir = given ?? (temp?.path as string);
  const models = `${dir}/models`;
  const real = await openDatabase({
    dataDir: `${dir}/data`,
    clock,
    log,
    ...(system.database && { calls: system.database }),
  });
  const db = database(real);
  const mounts = await rememberMounts(db, log).catch(async (error) => {
    await db.close();
    throw error;
  });
  const http = createHttp({
    userAgent: "modelhaul/test",
    allowPrivate: true,
    allowAddresses: [],
    clock,
    log,
    ...(system.connect && { connect: system.connect }),
  });
  const transfer = createTransfer({ http, clock, log, connectionsPerDownload: 8 });
  const sources = createSources({
    http,
    clock,
    log,
    ...(hfEndpoint && { hfEndpoint }),
    ...(ollamaUrl && { ollamaUrl }),
    ...(hfToken && { hfToken }),
    ...(modelscopeEndpoint && { modelscopeEndpoint }),
    ...(modelscopeToken && { modelscopeToken }),
    ...(ollamaRegistry && { ollamaRegistry }),
  });
  const layout = rest.layout ?? "flat";
  const entries = judgeStartup(sources, { layout }, startup ?? []);
  const space = minFreeBytes === undefined ? {} : { minFreeBytes };
  const ollama = `${dir}/ollama`;
  const storage = createStorage({
    modelsDir: models,
    hfCacheDir: `${dir}/hub`,
    ollamaModelsDir: ollama,
    mounts,
    clock,
    log,
    ...space,
    ...(system.disk && { disk: system.disk }),
  });
  const journal = new Journal(db, clock, log);
  const { digests } = transfer;
  const runtimes = createRuntimes({ http, digests, clock, log, ...engines });
  const open = async () => {
    const secrets = await openSecrets(`${dir}/data`, log, system.disk);
    return Downloads.open(
      { db, clock, log, sources, storage, transfer, digests, runtimes, secrets, journal },
      {
        layout,
        lingerMs: 15_000,
        keepPartialsMs: 86_400_000,
        historyMs: 30 * 86_400_000,
        settings: {},
        ...(startup && { wanted: entries.map(({ key }) => key) }),
        ...rest,
      },
    );
  };
  const shut = async () => {
    await transfer.close();
    http.close();
    await db.close();
  };
  const downloads = await open().catch(async (error) => {
    await shut();
    throw error;
  });
  const close = async () => {
    try {
      await downloads.close();
    } finally {
      await shut();
    }
  };
  const waitFor = (id: string, holds: (snapshot: Snapshot) => boolean, what: string) =>
    new Promise<Snapshot>((resolve, reject) => {
      let last: Snapshot | undefined;
      const fail = () => reject(new Error(`${what} not seen; last: ${JSON.stringify(last)}`));
      const timer = setTimeout(fail, patienceMs);
      const settle = (snapshot: Snapshot) => {
        last = snapshot;
        if (!holds(snapshot)) return;
        clearTimeout(timer);
        unsubscribe();
        resolve(snapshot);
      };
      const unsubscribe = downloads.feed.subscribe((event) => {
        if (event.type === "download" && (event.download.id === id || event.download.modelId === id))
          settle(event.download);
      });
      void downloads.get(id).then(settle, reject);
    });
  return {
    downloads,
    db,
    dir,
    models,
    ollama,
    async begin() {
      const errors: string[] = [];
      const error = (message: string, fields?: Record<string, unknown>) =>
        void errors.push(`${message} ${JSON.stringify(fields)}`);
      await beginStartup(downloads, entries, { ...quiet, error }, new AbortController().signal);
      return errors;
    },
    reaches: (id, ...states) =>
      waitFor(id, (s) => states.includes(s.state), `${id} in state ${states.join(" or ")}`),
    reachesSuch: (id, holds) => waitFor(id, holds, `what was waited for of ${id}`),
    has: (id, bytes) => waitFor(id, (s) => s.bytes >= bytes, `${bytes} bytes of ${id}`),
    close,
    async [Symbol.asyncDispose]() {
      await close();
      temp?.[Symbol.dispose]();
    },
  };
}
