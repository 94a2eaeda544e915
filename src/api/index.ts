import type { Server } from "bun";
import type { Registry } from "prom-client";
import type { Downloads } from "../core/downloads.ts";
import type { Clock, Log } from "../core/ports.ts";
import { abstractcoreFamily } from "./abstractcore.ts";
import { asyncApi } from "./asyncapi.ts";
import { Broadcast, type BroadcastOptions } from "./broadcast.ts";
import { BODY_SECONDS, Dispatcher } from "./dispatcher.ts";
import { downloadsFamily } from "./downloads/routes.ts";
import { Tally } from "./downloads/tally.ts";
import { modelsFamily } from "./engines/models.ts";
import { enginesFamily } from "./engines/routes.ts";
import type { ApiContext, Exchange, Family, SocketData } from "./family.ts";
import { filesFamily } from "./files.ts";
import { Guard } from "./guard.ts";
import { guideFamily } from "./guide.ts";
import { historyFamily } from "./history.ts";
import type { Listening } from "./hosts.ts";
import { IDLE_SECONDS, Listeners, type Wanted } from "./listeners.ts";
import { liveFamily } from "./live.ts";
import { localFamily } from "./local/routes.ts";
import { Metrics } from "./metrics.ts";
import { OpenApi } from "./openapi.ts";
import { referencesFamily } from "./references.ts";
import { serviceFamily } from "./service.ts";
import { sessionFamily } from "./session.ts";
import { settingsFamily } from "./settings.ts";
import { sourcesFamily } from "./sources.ts";
import { type WebAssets, webRootAssets } from "./web.ts";
import type { ProgressFiles } from "./wingman/files.ts";
import { wingmanFamily } from "./wingman.ts";

export type { Listening } from "./hosts.ts";
export type { Wanted } from "./listeners.ts";
export { vacate } from "./unix-socket.ts";
export type { WebAssets } from "./web.ts";

export interface ApiOptions {
  downloads: Downloads;
  /** Turns authentication on; only its digest is kept. */
  apiKey: string | null;
  /** Everybody may listen in and command, whatever the listener. */
  noAuth: boolean;
  corsOrigins: readonly string[];
  allowHosts: readonly string[];
  version: string;
  /** Our README, which the guides at `/llms.txt` and `/llms-full.txt` are made of. */
  readme: string;
  clock: Clock;
  log: Log;
  /** The monitor's files; `lookup` answers for a path such as `/` or `/app.js`, or not at all. */
  web: WebAssets;
  /** A folder to serve in their place. */
  webRoot?: string | null;
  /** Registers further metrics beside those of the API. */
  metrics?: (registry: Registry) => void;
  live?: BroadcastOptions;
  progress?: ProgressFiles;
  /** How long a connection may stay without a request; half a minute when not given. */
  idleSeconds?: number;
  /** How long the whole body of a request may take; half a minute when not given. */
  bodySeconds?: number;
}

export interface Api {
  /** Answers one request of one of our servers; never rejects. */
  fetch(request: Request, server: Server<SocketData>): Promise<Response>;
  /** The OpenAPI document of all families. */
  openapi(): Promise<unknown>;
  /** The AsyncAPI document of all live streams. */
  asyncapi(): unknown;
  /** Every route there is; paths with `:name` for what varies. */
  routes(): { family: string; method: string; path: string }[];
  /**
   * Binds all or none (an optional one may fail) and answers what is bound, with real ports; beside them a Unix socket
   * at `socket`, which has been vacated.
   */
  start(listeners: readonly Wanted[], socket?: string | null): Listening[];
  /** Ends live streams and stops listening; requests under way get a moment to finish. */
  stop(): Promise<void>;
}

/** After a start, what was put off for it is done this much later. */
const IDLE_MS = 2000;

/** Every API family there is. A new one is one file and one line here. */
function families(context: ApiContext, tally: Tally): Family[] {
  return [
    downloadsFamily(context, tally),
    enginesFamily(context),
    modelsFamily(context),
    historyFamily(context),
    liveFamily(context),
    localFamily(context),
    settingsFamily(context),
    sourcesFamily(context),
    referencesFamily(context),
    filesFamily(context),
    sessionFamily(context),
    abstractcoreFamily(context),
    wingmanFamily(context),
  ];
}

/** The HTTP side of the service. Throws when two families claim one method and path. */
export function createApi(options: ApiOptions): Api {
  const {
    downloads,
    clock,
    log,
    version,
    progress,
    idleSeconds = IDLE_SECONDS,
    bodySeconds = BODY_SECONDS,
  } = options;
  const exchanges = new WeakMap<Request, Exchange>();
  const listeners = new Listeners(log, idleSeconds);
  const guard = new Guard({ ...options, listeners: () => listeners.bound }, clock);
  const broadcast = new Broadcast(downloads, clock, options.live);
  guard.onRevoke = (owner) => broadcast.end(owner);
  const tally = new Tally(downloads);
  const exchange = (request: Request): Exchange => {
    const found = exchanges.get(request);
    if (!found) throw new Error("A request that did not come through the dispatcher");
    return found;
  };
  const context: ApiContext = { downloads, clock, log, version, guard, broadcast, progress, exchange };
  const metrics = new Metrics({ downloads, broadcast, version, more: options.metrics });
  const all: Family[] = [];
  const openApi = new OpenApi(all, version);
  all.push(
    ...families(context, tally),
    serviceFamily(context, metrics, openApi),
    guideFamily(options.readme, openApi),
  );
  const web = options.webRoot ? webRootAssets(options.webRoot) : options.web;
  const dispatcher = new Dispatcher({
    context,
    families: all,
    exchanges,
    metrics,
    web,
    idleSeconds,
    bodySeconds,
  });
  let idle: ReturnType<typeof setTimeout> | undefined;
  const fetch = (request: Request, server: Server<SocketData>) => dispatcher.fetch(request, server);
  return {
    fetch,
    openapi: async () => JSON.parse(await openApi.text()),
    asyncapi: () => asyncApi(version),
    routes: () =>
      all.flatMap(({ name, routes }) =>
        routes.routes.map(({ method, path }) => ({ family: name, method, path })),
      ),
    start: (wanted, socket = null) => {
      idle ??= setTimeout(() => void metrics.load(), IDLE_MS);
      return listeners.start({ wanted, socket }, guard.mayBeExposed, fetch);
    },
    stop: async () => {
      clearTimeout(idle);
      tally.stop();
      broadcast.end();
      for (const family of all) family.close?.();
      await listeners.stop();
    },
  };
}
