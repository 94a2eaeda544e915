import type { ServerResponse } from "node:http";
import type { ActiveFault, At } from "./faults.ts";

export interface OllamaLayer {
  /** `sha256:` and 64 hex digits. */
  digest: string;
  size: number;
}

/** A pull as the daemon remembers it. */
export interface PullRecord {
  /** Name as asked for. */
  model: string;
  body: Record<string, unknown>;
  headers: Record<string, string | string[] | undefined>;
  /** Lines sent so far. */
  lines: string[];
  /** `gone`: the client closed the connection, and the daemon has stopped. */
  outcome: "running" | "success" | "error" | "cut" | "ended" | "gone";
}

/** What of the daemon a pull works with. */
export interface PullWorld {
  /** Bytes of each blob on disk, partial ones included; kept between pulls. */
  blobs: Map<string, number>;
  /** Bytes per second now. */
  rate(): number;
  tickMs: number;
  /** Layers smaller than this are there before the first tick and are never told of. */
  silentBelow: number;
  /** The manifest has been written. */
  install(layers: OllamaLayer[]): void;
  changed(): void;
}

/** One answer to `POST /api/pull` (protocols/ollama.md §2.1). */
export class Pull {
  readonly #world: PullWorld;
  readonly #record: PullRecord;
  readonly #answer: ServerResponse;
  readonly #faults: ActiveFault[];
  /** Bytes of the layers before the one under way. */
  #before = 0;
  #gone = Promise.withResolvers<void>();

  constructor(world: PullWorld, record: PullRecord, answer: ServerResponse, faults: ActiveFault[]) {
    this.#world = world;
    this.#record = record;
    this.#answer = answer;
    this.#faults = faults;
    answer.on("close", () => {
      this.#end("gone");
      this.#gone.resolve();
    });
  }

  /** Undefined layers: no such model at the registry. */
  async run(layers: OllamaLayer[] | undefined): Promise<void> {
    await this.#reach("start");
    if (this.#over) return;
    await this.#send({ status: "pulling manifest" });
    await this.#scripted();
    if (this.#over) return;
    if (layers === undefined) return this.#fail("pull model manifest: file does not exist");
    await this.#reach(0);
    for (const layer of layers) {
      await this.#layer(layer);
      if (this.#over) return;
      this.#before += layer.size;
    }
    await this.#send({ status: "verifying sha256 digest" });
    await this.#reach("verifying");
    if (this.#over) return;
    await this.#send({ status: "writing manifest" });
    this.#world.install(layers);
    await this.#send({ status: "success" });
    this.#end("success");
    this.#answer.end();
  }

  get #over(): boolean {
    return this.#record.outcome !== "running";
  }

  #end(outcome: PullRecord["outcome"]): void {
    if (this.#over) return;
    this.#record.outcome = outcome;
    this.#world.changed();
  }

  async #layer({ digest, size }: OllamaLayer): Promise<void> {
    const { blobs, tickMs, silentBelow } = this.#world;
    if (size < silentBelow && !blobs.has(digest)) return void blobs.set(digest, size);
    const status = `pulling ${digest.slice(7, 19)}`;
    const tell = () => {
      const completed = blobs.get(digest) ?? 0;
      // Zero is omitted, as Go's omitempty does.
      return this.#send({ status, digest, total: size, ...(completed > 0 ? { completed } : {}) });
    };
    await tell();
    while ((blobs.get(digest) ?? 0) < size && !this.#over) {
      await Promise.race([Bun.sleep(tickMs), this.#gone.promise]);
      if (this.#over) return;
      const step = Math.max(1, Math.round((this.#world.rate() * tickMs) / 1000));
      const have = blobs.get(digest) ?? 0;
      const next = Math.min(size, have + step, this.#nextFault(have));
      blobs.set(digest, next);
      this.#world.changed();
      await tell();
      await this.#reach(this.#before + next);
      const fallen = this.#fallen(this.#before + next);
      if (fallen === 0) continue;
      blobs.set(digest, Math.max(0, next - fallen));
      await tell();
    }
  }

  /** Bytes of the layer at which the next fault strikes, so that none is stepped over. */
  #nextFault(have: number): number {
    const places = this.#faults
      .filter(({ done }) => !done)
      .map(({ fault }) => ("at" in fault && typeof fault.at === "number" ? fault.at - this.#before : 0))
      .filter((place) => place > have);
    return Math.min(...places, Number.POSITIVE_INFINITY);
  }

  #fallen(position: number): number {
    let by = 0;
    for (const active of this.#faults) {
      if (active.done || active.fault.kind !== "fall" || position < active.fault.at) continue;
      active.done = true;
      by += active.fault.by;
    }
    return by;
  }

  /** The pull has come to this place: faults that are due there act. */
  async #reach(place: At): Promise<void> {
    for (const active of this.#faults) {
      const { fault } = active;
      if (active.done || this.#over || !("at" in fault) || fault.kind === "fall") continue;
      const due =
        typeof fault.at === "number" ? typeof place === "number" && place >= fault.at : fault.at === place;
      if (!due) continue;
      active.done = true;
      if (fault.kind === "error") await this.#fail(fault.text);
      if (fault.kind === "cut") this.#cut();
      if (fault.kind === "end") this.#finish();
      if (fault.kind === "hang") await Promise.race([active.released, this.#gone.promise]);
    }
    for (const { fault } of this.#faults)
      if (fault.kind === "respond" && place === "start" && !this.#over) {
        this.#end("error");
        this.#answer
          .writeHead(fault.status, fault.headers ?? { "content-type": "text/html" })
          .end(fault.body);
      }
  }

  async #scripted(): Promise<void> {
    for (const { fault, released } of this.#faults) {
      if (fault.kind !== "lines" || this.#over) continue;
      for (const line of fault.lines) await this.#write(line);
      if (fault.ending === "hang") await Promise.race([released, this.#gone.promise]);
      if (fault.ending === "cut") this.#cut();
      else this.#finish();
    }
  }

  #cut(): void {
    this.#end("cut");
    this.#answer.socket?.destroy();
  }

  #finish(): void {
    this.#end("ended");
    this.#answer.end();
  }

  async #fail(error: string): Promise<void> {
    if (this.#answer.headersSent) await this.#send({ error });
    else
      this.#answer
        .writeHead(500, { "content-type": "application/json; charset=utf-8" })
        .write(JSON.stringify({ error }));
    this.#end("error");
    this.#answer.end();
  }

  async #send(line: object): Promise<void> {
    const text = JSON.stringify(line);
    this.#record.lines.push(text);
    await this.#write(`${text}\n`);
    this.#world.changed();
  }

  async #write(text: string): Promise<void> {
    if (this.#over) return;
    if (!this.#answer.headersSent) this.#answer.writeHead(200, { "content-type": "application/x-ndjson" });
    const pieces = this.#faults.find(({ fault }) => fault.kind === "pieces")?.fault;
    if (pieces?.kind !== "pieces") return void this.#answer.write(text);
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length && !this.#over; at += pieces.bytes) {
      this.#answer.write(bytes.subarray(at, at + pieces.bytes));
      await Bun.sleep(1);
    }
  }
}
