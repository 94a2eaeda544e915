import { bytesAt } from "../bytes.ts";
import { type Answer, headBytes, interimBytes, type Stop } from "./answer.ts";
import type { Connection } from "./connection.ts";
import type { Log, LoggedRequest, Outcome } from "./log.ts";
import { Bucket, paced } from "./pace.ts";

/** Bytes made and handed over at once. */
const PORTION = 256 * 1024;
/** Up to this size head and body go in one write, which halves the cost of a small file. */
const SMALL = 64 * 1024;

export interface Sending {
  connection: Connection;
  entry: LoggedRequest;
  /** Limits of the connection and of the whole origin. */
  buckets: readonly Bucket[];
  log: Log;
}

/** Thrown when a `cut` or `reset` has ended the answer. */
class Stopped extends Error {
  constructor(readonly outcome: Outcome) {
    super(outcome);
  }
}

/** Carries out an answer. Resolves to how it ended and whether the connection may carry another. */
export async function send(
  answer: Answer,
  sending: Sending,
): Promise<{ outcome: Outcome; reusable: boolean }> {
  try {
    await sendAll(answer, sending);
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    return { outcome: error.outcome, reusable: false };
  }
  return { outcome: "complete", reusable: await settle(answer, sending.connection) };
}

async function settle(answer: Answer, connection: Connection): Promise<boolean> {
  switch (answer.afterwards) {
    case "keep":
      return true;
    case "close":
      connection.finish();
      return false;
    case "reset":
      await connection.reset();
      return false;
    case "hold":
      await connection.wait(() => () => {});
      return false;
  }
}

async function sendAll(answer: Answer, sending: Sending): Promise<void> {
  const { connection, entry } = sending;
  const stops = new Stops(answer.stops, sending);
  if (answer.latencyMs > 0) await connection.sleep(answer.latencyMs);
  await stops.atStart();
  if (answer.raw) return connection.write(answer.raw);
  for (const { status, count } of answer.interim) {
    const bytes = interimBytes(status);
    for (let i = 0; i < count; i++) await connection.write(bytes);
  }
  const head = headBytes(answer);
  entry.status = answer.status;
  entry.headAt = performance.now();
  sending.log.changed();
  if (answer.headOnly) {
    await connection.write(head);
    return;
  }
  if (isSmallAndPlain(answer, sending)) await sendWhole(answer, sending, head);
  else await sendBody(answer, sending, stops, head);
}

function isSmallAndPlain({ body, framing, rates, stops, surplus }: Answer, { buckets }: Sending): boolean {
  const unpaced = rates.length === 0 && buckets.every((bucket) => bucket.unlimited);
  return unpaced && framing === "length" && stops.length === 0 && surplus === 0 && body.size <= SMALL;
}

async function sendWhole({ body }: Answer, sending: Sending, head: Uint8Array): Promise<void> {
  let ofHead = head.length;
  const bytes = Buffer.concat([head, body.read(0, body.size)]);
  await sending.connection.write(bytes, (taken) => {
    const ofBody = Math.max(0, taken - ofHead);
    ofHead -= taken - ofBody;
    countSent(sending, ofBody);
  });
}

function countSent({ connection, entry, log }: Sending, bytes: number): void {
  connection.bodySent += bytes;
  log.sent(entry, bytes);
}

async function sendBody(answer: Answer, sending: Sending, stops: Stops, head: Uint8Array): Promise<void> {
  const { connection } = sending;
  const rates = answer.rates.map(({ bytesPerSecond, after }) => ({
    bucket: new Bucket(() => bytesPerSecond),
    after,
  }));
  const size = answer.body.size;
  const count = (taken: number): void => countSent(sending, taken);
  await connection.write(head);
  for (let at = 0; ; ) {
    await stops.reached(at);
    if (at >= size) break;
    const buckets = [
      ...sending.buckets,
      ...rates.filter(({ after }) => at >= after).map(({ bucket }) => bucket),
    ];
    const nextRate = rates.find(({ after }) => after > at)?.after ?? Number.POSITIVE_INFINITY;
    const unit = answer.framing === "chunked" ? answer.chunkSize : PORTION;
    const want = Math.min(unit, size - at, stops.distance(at), nextRate - at);
    const portion = await paced(connection, buckets, want);
    const bytes = answer.body.read(at, portion);
    if (answer.framing === "chunked") await connection.write(latin1(`${portion.toString(16)}\r\n`));
    await connection.write(bytes, count);
    if (answer.framing === "chunked") await connection.write(latin1("\r\n"));
    at += portion;
  }
  if (answer.framing === "chunked") await connection.write(lastChunk(answer));
  if (answer.surplus > 0) await connection.write(bytesAt(1, 0, answer.surplus));
}

function lastChunk({ lastChunk: last }: Answer): Uint8Array {
  return latin1(last === "complete" ? "0\r\n\r\n" : last === "no-crlf" ? "0\r\n" : "");
}

function latin1(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

/** The places at which an answer halts or ends. */
class Stops {
  private readonly pending: Stop[];

  constructor(
    stops: readonly Stop[],
    private readonly sending: Sending,
  ) {
    this.pending = [...stops];
  }

  async atStart(): Promise<void> {
    for (const stop of this.take(({ at }) => at === "start")) await this.carryOut(stop);
  }

  /** To be called before the body byte `at` of the answer goes out, and after the last. */
  async reached(at: number): Promise<void> {
    for (const stop of this.take((it) => this.remaining(it, at) <= 0)) await this.carryOut(stop);
  }

  /** How many bytes may still go before the next of them. */
  distance(at: number): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.pending.map((stop) => this.remaining(stop, at)));
  }

  private remaining(stop: Stop, at: number): number {
    const passed = stop.ofConnection ? this.sending.connection.bodySent : at;
    return stop.at === "start" ? 0 : stop.at - passed;
  }

  private take(due: (stop: Stop) => boolean): Stop[] {
    const taken = this.pending.filter(due);
    for (const stop of taken) this.pending.splice(this.pending.indexOf(stop), 1);
    return taken;
  }

  private async carryOut(stop: Stop): Promise<void> {
    const { connection, entry, log } = this.sending;
    if (stop.action === "stall") {
      entry.outcome = "stalled";
      log.changed();
      await connection.wait(stop.onRelease);
      entry.outcome = "open";
      return;
    }
    if (stop.action === "reset") await connection.reset();
    else if (stop.action === "truncate") connection.truncate();
    else connection.finish();
    throw new Stopped(stop.action === "reset" ? "reset" : "cut");
  }
}
