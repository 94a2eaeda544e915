import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Downloads } from "../core/downloads.ts";
import type { Broadcast } from "./broadcast.ts";

/** Numbers of this server in its own registry; `more` may add those of other rooms. */
export class Metrics {
  readonly registry = new Registry();
  readonly #requests: Counter<"method" | "status">;
  readonly #seconds: Histogram;

  constructor(
    downloads: Downloads,
    broadcast: Broadcast,
    version: string,
    more?: (registry: Registry) => void,
  ) {
    const registers = [this.registry];
    this.#requests = new Counter({
      name: "modelhaul_http_requests_total",
      help: "Requests answered, by method and status",
      labelNames: ["method", "status"],
      registers,
    });
    this.#seconds = new Histogram({
      name: "modelhaul_http_request_duration_seconds",
      help: "Time until the answer's head was ready",
      buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
      registers,
    });
    new Gauge({
      name: "modelhaul_downloads",
      help: "Downloads by state, history included",
      labelNames: ["state"],
      registers,
      async collect() {
        for (const [state, count] of Object.entries(await downloads.counts())) this.set({ state }, count);
      },
    });
    new Gauge({
      name: "modelhaul_live_connections",
      help: "Event streams and WebSockets that are open",
      registers,
      collect() {
        this.set(broadcast.readers);
      },
    });
    new Gauge({
      name: "process_resident_memory_bytes",
      help: "Resident memory",
      registers,
      collect() {
        this.set(process.memoryUsage.rss());
      },
    });
    new Gauge({
      name: "process_start_time_seconds",
      help: "Start of the process, seconds since the epoch",
      registers,
      collect() {
        this.set(performance.timeOrigin / 1000);
      },
    });
    new Gauge({
      name: "modelhaul_info",
      help: "Version",
      labelNames: ["version"],
      registers,
    }).set({ version }, 1);
    more?.(this.registry);
  }

  answered(method: string, status: number, milliseconds: number): void {
    this.#requests.inc({ method, status });
    this.#seconds.observe(milliseconds / 1000);
  }
}
