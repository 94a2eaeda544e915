import { randomOf } from "../../support/random.ts";
import { Connection, isKept, type Outcome } from "./connection.ts";
import { grammarRequest, type Operation } from "./grammar.ts";
import { judge } from "./judge.ts";
import { mutatedRequest } from "./mutated.ts";
import { rawRequest } from "./raw.ts";
import { assemble, type FuzzRequest, shownRequest } from "./request.ts";

/** Connections at the same time. */
const WORKERS = 16;
/** An answer that takes longer is asked for once more, alone. */
export const SLOW_MS = 1_000;
/** An answer that has not come by then does not come. */
const GIVE_UP_MS = 30_000;
/** What may wait for more bytes is not waited for. */
const RAW_MS = 100;
/** So often what has piled up is taken away: the rig measures memory, not how long its list has become. */
const TIDY_EVERY = 2_000;
const MOST_SUSPECTS = 20;
const MOST_NOTES = 5;

export interface Tally {
  sent: number;
  byKind: Record<FuzzRequest["kind"], number>;
  byStatus: Map<number, number>;
  refused: number;
  /** Refused by the HTTP parser itself, with an empty body. */
  parser: number;
  overload: number;
  /** Raw bytes that wait for more, or were met with the end of the connection. */
  unanswered: number;
  reconnects: number;
  faults: number;
  /** The first few, whole. */
  notes: string[];
  slowestMs: number;
  /** Slow, and slow again when asked alone. */
  slow: number;
}

export const emptyTally = (): Tally => ({
  sent: 0,
  byKind: { grammar: 0, mutated: 0, raw: 0 },
  byStatus: new Map(),
  refused: 0,
  parser: 0,
  overload: 0,
  unanswered: 0,
  reconnects: 0,
  faults: 0,
  notes: [],
  slowestMs: 0,
  slow: 0,
});

/** Request of this number: always the same one. 70 % by the grammar, 20 % real ones changed, 10 % raw bytes. */
export function requestOf(seed: number, number: number, operations: readonly Operation[]): FuzzRequest {
  const next = randomOf(Math.imul(seed, 0x9e3779b1) ^ number);
  const kind = next();
  if (kind < 0.7) return grammarRequest(operations, next);
  return kind < 0.9 ? mutatedRequest(next) : rawRequest(next);
}

export interface FuzzOptions {
  port: number;
  seed: number;
  /** Numbers of the requests: the first, and the one behind the last. */
  from?: number;
  count: number;
  operations: readonly Operation[];
  tally: Tally;
  say(line: string): void;
  /** Called after each request. */
  after(sent: number): void;
}

/** Sends them all, over several connections at once, and judges what comes back. */
export class Fuzz {
  readonly #options: FuzzOptions;
  readonly #suspects: { number: number; request: FuzzRequest; ms: number }[] = [];
  /** What was asked last on a connection that is still open. */
  readonly #before = new WeakMap<Connection, FuzzRequest>();
  #number: number;

  constructor(options: FuzzOptions) {
    this.#options = options;
    this.#number = options.from ?? 0;
  }

  async run(): Promise<void> {
    await Promise.all(Array.from({ length: WORKERS }, () => this.#work()));
    await this.#askAgain();
  }

  async #work(): Promise<void> {
    const { port, seed, count, operations, tally, after } = this.#options;
    const connection = new Connection(port);
    try {
      while (this.#number < count) {
        const number = this.#number++;
        if (number % TIDY_EVERY === TIDY_EVERY - 1) await this.#tidy(connection);
        const request = requestOf(seed, number, operations);
        await this.#one(connection, number, request);
        tally.byKind[request.kind] += 1;
        after(++tally.sent);
      }
    } finally {
      connection.close();
    }
  }

  async #one(connection: Connection, number: number, request: FuzzRequest): Promise<void> {
    const began = performance.now();
    try {
      if (request.kind === "raw") await this.#raw(number, request);
      else await this.#whole(connection, number, request);
    } catch (error) {
      this.#fault(number, request, String(error));
    }
    const ms = performance.now() - began;
    this.#options.tally.slowestMs = Math.max(this.#options.tally.slowestMs, ms);
    if (ms > SLOW_MS && this.#suspects.length < MOST_SUSPECTS) this.#suspects.push({ number, request, ms });
  }

  /** A request that is answered on a connection that is kept as long as the server keeps it. */
  async #whole(connection: Connection, number: number, request: FuzzRequest): Promise<void> {
    const { tally } = this.#options;
    if (!connection.isOpen) {
      tally.reconnects += 1;
      await connection.open();
    }
    connection.send(request.bytes, request.isHead);
    const outcome = await connection.next(GIVE_UP_MS);
    this.#note(number, request, outcome, this.#before.get(connection));
    this.#before.set(connection, request);
    if (typeof outcome !== "string" && isKept(outcome)) return;
    connection.close();
    this.#before.delete(connection);
  }

  /** Bytes on a connection of their own; every answer that they bring is judged. */
  async #raw(number: number, request: FuzzRequest): Promise<void> {
    const { port, tally } = this.#options;
    const connection = new Connection(port);
    try {
      await connection.open();
      connection.send(request.bytes, request.isHead);
      let outcome = await connection.next(request.isWhole ? GIVE_UP_MS : RAW_MS);
      if (typeof outcome === "string" && !request.isWhole) tally.unanswered += 1;
      else this.#note(number, request, outcome);
      while (typeof outcome !== "string" && isKept(outcome)) {
        outcome = await connection.next(0);
        if (typeof outcome !== "string") this.#note(number, request, outcome);
      }
    } finally {
      connection.close();
    }
  }

  #note(number: number, request: FuzzRequest, outcome: Outcome, before?: FuzzRequest): void {
    const { tally } = this.#options;
    if (typeof outcome === "string") {
      const what = outcome === "closed" ? "the connection was closed without an answer" : "no answer at all";
      const behind = before === undefined ? "" : `, behind \`${shownRequest(before)}\``;
      this.#fault(number, request, what + behind);
      return;
    }
    tally.byStatus.set(outcome.status, (tally.byStatus.get(outcome.status) ?? 0) + 1);
    const { kind, fault } = judge(request, outcome);
    if (kind === "fault") this.#fault(number, request, `${outcome.status} ${fault}`);
    else if (kind !== "good") tally[kind] += 1;
  }

  #fault(number: number, request: FuzzRequest, what: string): void {
    const { tally, say } = this.#options;
    tally.faults += 1;
    if (tally.notes.length >= MOST_NOTES) return;
    const note = `request ${number}: ${what} <- \`${shownRequest(request)}\``;
    tally.notes.push(note);
    say(note);
  }

  /** Cancels and forgets what has piled up. */
  async #tidy(connection: Connection): Promise<void> {
    for (const [method, target] of [
      ["POST", "/v1/downloads/cancel"],
      ["DELETE", "/v1/history"],
    ] as const) {
      if (!connection.isOpen) await connection.open();
      const { bytes } = assemble("grammar", { method, target, headers: ["Host: localhost"] }, () => 0);
      connection.send(bytes);
      const outcome = await connection.next(GIVE_UP_MS);
      if (typeof outcome === "string" || outcome.status !== 200)
        throw new Error(`${method} ${target}: ${typeof outcome === "string" ? outcome : outcome.status}`);
    }
  }

  /** What was slow is asked again alone: then it is the request and not the crowd, or the machine. */
  async #askAgain(): Promise<void> {
    const { port, tally } = this.#options;
    const connection = new Connection(port);
    for (const { number, request, ms } of this.#suspects) {
      const began = performance.now();
      await this.#whole(connection, number, request);
      const again = performance.now() - began;
      if (again <= SLOW_MS) continue;
      tally.slow += 1;
      tally.notes.push(
        `request ${number}: ${Math.round(ms)} ms, alone ${Math.round(again)} ms <- \`${shownRequest(request)}\``,
      );
    }
    connection.close();
  }
}
