import type { Counter, Histogram, Registry } from "prom-client";
import type { Downloads } from "../core/downloads.ts";
import type { Broadcast } from "./broadcast.ts";

export interface MetricsParts {
  downloads: Downloads;
  broadcast: Broadcast;
  version: string;
  /** Adds the metrics of other rooms. */
  more?: ((registry: Registry) => void) | undefined;
}

interface Loaded {
  registry: Registry;
  requests: Counter<"method" | "status">;
  seconds: Histogram;
}

type Observation = [method: string, status: number, milliseconds: number];

/** Answers remembered until the library is there. */
const MOST_EARLY = 10_000;

/**
 * Numbers of this server in a registry of its own. The library takes as long to load as all the rest of a start, so
 * that happens when the numbers are first asked for, or by `load` when there is time.
 */
export class Metrics {
  readonly #parts: MetricsParts;
  #early: Observation[] = [];
  #loading: Promise<Loaded> | undefined;
  #loaded: Loaded | undefined;

  constructor(parts: MetricsParts) {
    this.#parts = parts;
  }

  /** In Prometheus' text format. */
  async text(): Promise<{ text: string; type: string }> {
    const { registry } = await this.load();
    return { text: await registry.metrics(), type: registry.contentType };
  }

  answered(method: string, status: number, milliseconds: number): void {
    if (this.#loaded) observe(this.#loaded, [method, status, milliseconds]);
    else if (this.#early.length < MOST_EARLY) this.#early.push([method, status, milliseconds]);
  }

  load(): Promise<Loaded> {
    this.#loading ??= register(this.#parts).then((loaded) => {
      for (const observation of this.#early) observe(loaded, observation);
      this.#early = [];
      this.#loaded = loaded;
      return loaded;
    });
    return this.#loading;
  }
}

function observe({ requests, seconds }: Loaded, [method, status, milliseconds]: Observation): void {
  requests.inc({ method, status });
  seconds.observe(milliseconds / 1000);
}

async function register({ downloads, broadcast, version, more }: MetricsParts): Promise<Loaded> {
  const { Counter, Gauge, Histogram, Registry } = await import("prom-client");
  const registry = new Registry();
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  gauge("modelhaul_live_connections", "Event streams and WebSockets that are open", () => broadcast.readers);
  gauge("process_resident_memory_bytes", "Resident memory", () => process.memoryUsage.rss());
  gauge(
    "process_start_time_seconds",
    "Start of the process, since the epoch",
    () => performance.timeOrigin / 1000,
  );
  new Gauge({
    name: "modelhaul_downloads",
    help: "Downloads by state, history included",
    labelNames: ["state"],
    registers,
    async collect() {
      for (const [state, count] of Object.entries(await downloads.counts())) this.set({ state }, count);
    },
  });
  new Gauge({ name: "modelhaul_info", help: "Version", labelNames: ["version"], registers }).set(
    { version },
    1,
  );
  more?.(registry);
  const requests = new Counter({
    name: "modelhaul_http_requests_total",
    help: "Requests answered, by method and status",
    labelNames: ["method", "status"] as const,
    registers,
  });
  const seconds = new Histogram({
    name: "modelhaul_http_request_duration_seconds",
    help: "Time until the answer's head was ready",
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
    registers,
  });
  return { registry, requests, seconds };
}
