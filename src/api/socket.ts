import type { ServerWebSocket } from "bun";
import { DownloadError, toDownloadError } from "../core/errors.ts";
import { parseJson } from "./body.ts";
import type { Reader } from "./broadcast.ts";
import { Control, VERBS, type Verb } from "./downloads/control.ts";
import { type ErrorBody, kolosalRefusal } from "./envelope.ts";
import type { ApiContext, SocketData } from "./family.ts";
import type { Frame } from "./frames.ts";
import { Outbox, type Sink } from "./outbox.ts";
import { Problem } from "./problem.ts";
import { CLIENT_FRAMES, type RefValue } from "./socket-frames.ts";
import { checker } from "./validation.ts";

/** Largest frame a client may send (F222); Bun closes the connection with 1009 beyond it. */
export const FRAME_LIMIT = 64 * 1024;
/** Client frames at once, and how many come back each second. */
const BURST = 200;
const PER_SECOND = 20;
/** Frames over the limit before the connection is closed with 1008. */
const PATIENCE = 200;

const FRAMES = {
  subscribe: checker(CLIENT_FRAMES.subscribe),
  unsubscribe: checker(CLIENT_FRAMES.unsubscribe),
  start: checker(CLIENT_FRAMES.start),
  command: checker(CLIENT_FRAMES.command),
};

type Subscribe = { ids?: string[]; since?: number };

/** One WebSocket: what it watches, what it asks for, what waits for it (DESIGN §5). */
export class Session implements SocketData, Reader, Sink {
  readonly owner: string | null;
  readonly #context: ApiContext;
  readonly #control: Control;
  readonly #outbox: Outbox;
  #socket: ServerWebSocket<SocketData> | undefined;
  #leave: () => void = () => {};
  /** UUIDs it watches; null for all. */
  #ids: Set<string> | null = new Set();
  /** What frames that came later stand upon: starts, and changes of what is watched. */
  #before: Promise<unknown> = Promise.resolve();
  #allowance = BURST;
  #countedAt: number;

  constructor(context: ApiContext, owner: string | null) {
    this.owner = owner;
    this.#context = context;
    this.#control = new Control(context.downloads, context.clock);
    this.#outbox = new Outbox(this, () => context.clock.monotonic());
    this.#countedAt = context.clock.monotonic();
  }

  open(socket: ServerWebSocket<SocketData>): void {
    this.#socket = socket;
    const { broadcast, version } = this.#context;
    this.#leave = broadcast.add(this);
    this.#tell({ type: "hello", version, seq: broadcast.seq, heartbeat_seconds: broadcast.heartbeatSeconds });
  }

  message(data: string | Buffer): void {
    if (!this.#isAllowed()) return;
    let ref: RefValue | undefined;
    try {
      const frame = parse(data);
      ref = refOf(frame);
      void this.#inTurn(frame, ref);
    } catch (error) {
      this.#refuse(error, ref);
    }
  }

  drain(): void {
    this.#outbox.drained();
  }

  close(): void {
    this.#socket = undefined;
    this.#outbox.close();
    this.#leave();
  }

  wants(id: string): boolean {
    return this.#ids === null || this.#ids.has(id);
  }

  push(frame: Frame): void {
    this.#outbox.push(frame);
    if (frame.type === "removed" && frame.id !== null) this.#ids?.delete(frame.id);
  }

  send(frame: Frame): boolean {
    return (this.#socket?.sendText(frame.text) ?? 0) > 0;
  }

  cut(): void {
    this.#socket?.terminate();
  }

  heartbeat(): void {
    if (this.#outbox.isFlowing) this.#tell({ type: "ping" });
    else this.#outbox.checkStuck();
  }

  end(): void {
    this.#socket?.close(1001, "Server or session has ended");
  }

  /** A frame may speak of what the one before has started; starts and commands of their own do not wait for each other. */
  async #inTurn(frame: Record<string, unknown>, ref: RefValue | undefined): Promise<void> {
    const { type } = frame;
    const isStart = type === "start";
    const before = isStart ? Promise.resolve() : this.#before;
    const done = before.then(() => this.#handle(frame, ref)).catch((error) => this.#refuse(error, ref));
    if (isStart || type === "subscribe" || type === "unsubscribe")
      this.#before = Promise.all([this.#before, done]);
    await done;
  }

  async #handle(frame: Record<string, unknown>, ref: RefValue | undefined): Promise<void> {
    const { type } = frame;
    if (type === "subscribe") return this.#subscribe(FRAMES.subscribe(frame), ref);
    if (type === "unsubscribe") return this.#unsubscribe(FRAMES.unsubscribe(frame), ref);
    if (type === "start") return this.#reply(ref, await this.#control.start(FRAMES.start(frame).body));
    const verb = VERBS.find((v) => v === type);
    if (verb) return this.#reply(ref, await this.#run(verb, frame));
    throw new Problem("invalid_request", "Unknown frame type", { param: "type" });
  }

  #run(verb: Verb, frame: Record<string, unknown>) {
    return this.#control.run(verb, FRAMES.command(frame).id);
  }

  async #subscribe({ ids, since }: Subscribe, ref: RefValue | undefined): Promise<void> {
    const wanted = ids === undefined ? null : await this.#uuids(ids);
    await this.#context.broadcast.catchUp(wanted, since, (frames) => {
      if (!this.#socket) return;
      if (wanted === null) this.#ids = null;
      else for (const id of wanted) this.#ids?.add(id);
      if (ref !== undefined) this.#reply(ref, { subscribed: ids ?? "all" });
      for (const frame of frames) this.push(frame);
    });
  }

  async #unsubscribe({ ids }: Subscribe, ref: RefValue | undefined): Promise<void> {
    if (ids === undefined) this.#ids = new Set();
    else if (this.#ids === null)
      throw new Problem("invalid_request", "All downloads are subscribed; unsubscribe without ids first", {
        param: "ids",
      });
    else for (const id of await this.#known(ids)) this.#ids?.delete(id);
    if (ref !== undefined) this.#reply(ref, { unsubscribed: ids ?? "all" });
  }

  /** The same, what has been removed meanwhile left as it is: it is watched no more. */
  async #known(ids: readonly string[]): Promise<Set<string>> {
    const found = await Promise.all(ids.map((id) => this.#context.downloads.find(id)));
    return new Set(found.map((download, i) => download?.id ?? (ids[i] as string)));
  }

  async #uuids(ids: readonly string[]): Promise<Set<string>> {
    const found = await Promise.all(ids.map((id) => this.#context.downloads.get(id)));
    return new Set(found.map(({ id }) => id));
  }

  /** A token bucket; what exceeds it is answered with an error, and a flood with a closed connection (F222). */
  #isAllowed(): boolean {
    const now = this.#context.clock.monotonic();
    const back = ((now - this.#countedAt) / 1000) * PER_SECOND;
    this.#countedAt = now;
    this.#allowance = Math.min(BURST, this.#allowance + back) - 1;
    if (this.#allowance >= 0) return true;
    if (this.#allowance < -PATIENCE) this.#socket?.close(1008, "Too many frames");
    else this.#refuse(new Problem("invalid_request", "Too many frames; send fewer"), undefined);
    return false;
  }

  #reply(ref: RefValue | undefined, result: object): void {
    this.#tell({ type: "reply", ref, ok: true, result });
  }

  /** A command that failed gets its reply; a frame that is none gets an error. The connection stays open. */
  #refuse(reason: unknown, ref: RefValue | undefined): void {
    const error = this.#words(reason);
    if (ref === undefined) this.#tell({ type: "error", error });
    else this.#tell({ type: "reply", ref, ok: false, error });
  }

  #words(reason: unknown): ErrorBody {
    const isKnown = reason instanceof Problem || reason instanceof DownloadError;
    if (!isKnown) this.#context.log.error("A WebSocket frame failed", { error: String(reason) });
    return kolosalRefusal(isKnown ? reason : toDownloadError(reason)).error;
  }

  /** Frames that are not events: answers and signs of life, few and small, so they need no outbox. */
  #tell(message: object): void {
    this.#socket?.sendText(JSON.stringify(message));
  }
}

function parse(data: string | Buffer): Record<string, unknown> {
  if (typeof data !== "string") throw new Problem("invalid_json", "Frames are JSON text, not binary");
  const value = parseJson(data, "The frame");
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new Problem("invalid_json", "A frame is a JSON object with a type");
}

function refOf({ ref }: Record<string, unknown>): RefValue | undefined {
  if (typeof ref === "number") return ref;
  return typeof ref === "string" && ref.length <= 256 ? ref : undefined;
}
