import { randomOf } from "../../support/random.ts";
import { RawClient } from "../../support/raw.ts";
import { FRAME_KINDS, type FrameKind, framesOf, ping, type Sent } from "./frames.ts";

/** Sockets at the same time. */
const WORKERS = 8;
/** Neither an answer nor an end by then. */
const GIVE_UP_MS = 30_000;
const MOST_NOTES = 5;
const HANDSHAKE = [
  "GET /v1/ws HTTP/1.1",
  ...["Host: localhost", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"],
  ...["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "", ""],
].join("\r\n");
/** Frames that a server may send (DESIGN §5). */
const TYPES = new Set(["hello", "snapshot", "download", "removed", "reply", "error", "ping"]);
/** Why a server may end a WebSocket: RFC 6455 §7.4. */
const CODES = new Set([1000, 1001, 1002, 1003, 1007, 1008, 1009]);

export interface SocketTally {
  sockets: number;
  frames: number;
  byKind: Record<FrameKind, number>;
  /** Frames of the server by their type. */
  answers: Map<string, number>;
  /** Sockets that stood to the end, and that the server had ended. */
  stood: number;
  ended: number;
  /** What had no end was given up by us. */
  unfinished: number;
  /** 503: no room for another live reader just then. */
  overload: number;
  faults: number;
  /** The first few. */
  notes: string[];
}

export const emptySocketTally = (): SocketTally => ({
  sockets: 0,
  frames: 0,
  byKind: Object.fromEntries(FRAME_KINDS.map((kind) => [kind, 0])) as Record<FrameKind, number>,
  answers: new Map(),
  stood: 0,
  ended: 0,
  unfinished: 0,
  overload: 0,
  faults: 0,
  notes: [],
});

export interface SocketFuzzOptions {
  port: number;
  seed: number;
  count: number;
  tally: SocketTally;
  say(line: string): void;
  /** Called after each socket. */
  after(sockets: number): Promise<void>;
}

/** Opens so many WebSockets, several at once, and sends over each what no client would. */
export async function fuzzSockets(options: SocketFuzzOptions): Promise<void> {
  let number = 0;
  const work = async (): Promise<void> => {
    while (number < options.count) {
      await one(options, number++);
      await options.after(++options.tally.sockets);
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, work));
}

async function one({ port, seed, tally, say }: SocketFuzzOptions, number: number): Promise<void> {
  const next = randomOf(Math.imul(seed, 0x85ebca6b) ^ number);
  const sent = framesOf(next);
  const client = await RawClient.connect(port);
  try {
    await converse(client, sent, number, tally, next);
  } catch (error) {
    tally.faults += 1;
    const note = `socket ${number}: ${error} <- ${sent.map(({ kind }) => kind).join(", ")}`;
    if (tally.notes.push(note) > MOST_NOTES) tally.notes.pop();
    else say(note);
  } finally {
    client.close();
  }
}

/** Everything is sent, and a ping behind it: it is answered, or the connection is over. Throws what is wrong. */
async function converse(
  client: RawClient,
  sent: readonly Sent[],
  number: number,
  tally: SocketTally,
  next: () => number,
): Promise<void> {
  client.send(HANDSHAKE);
  const greeting = await client.read({ until: (all) => all.includes("\r\n\r\n"), timeoutMs: GIVE_UP_MS });
  const status = greeting.toString("latin1", 9, 12);
  if (status === "503") {
    tally.overload += 1;
    return;
  }
  if (status !== "101") throw new Error(`the handshake was answered ${status}`);
  for (const { kind, bytes } of sent) {
    client.send(bytes);
    tally.byKind[kind] += 1;
    tally.frames += 1;
  }
  const rest = greeting.subarray(greeting.indexOf("\r\n\r\n") + 4);
  if (sent.some(({ isOpen }) => isOpen)) {
    tally.unfinished += 1;
    return judge(parse(rest).frames, tally);
  }
  const token = `n${number}`;
  client.send(ping(token, next));
  const isAnswered = (all: Buffer): boolean => parse(Buffer.concat([rest, all])).pongs.has(token);
  const received = await client.read({ until: isAnswered, timeoutMs: GIVE_UP_MS });
  const { frames, pongs } = parse(Buffer.concat([rest, received]));
  judge(frames, tally);
  if (pongs.has(token)) tally.stood += 1;
  else tally.ended += 1;
}

interface ServerFrame {
  opcode: number;
  payload: Buffer;
  /** Reserved bits, a mask or a piece of a message: a server of ours has none of them. */
  isOdd: boolean;
}

/** The whole frames of what has come. */
function parse(received: Buffer): { frames: ServerFrame[]; pongs: Set<string> } {
  const frames: ServerFrame[] = [];
  for (let at = 0; at + 2 <= received.length; ) {
    const short = received[at + 1]! & 0x7f;
    const width = short === 126 ? 2 : short === 127 ? 8 : 0;
    const start = at + 2 + width;
    if (start > received.length) break;
    const length =
      width === 0
        ? short
        : width === 2
          ? received.readUInt16BE(at + 2)
          : Number(received.readBigUInt64BE(at + 2));
    if (start + length > received.length) break;
    const isOdd = (received[at]! & 0xf0) !== 0x80 || (received[at + 1]! & 0x80) !== 0;
    frames.push({ opcode: received[at]! & 0x0f, payload: received.subarray(start, start + length), isOdd });
    at = start + length;
  }
  const pongs = frames
    .filter(({ opcode }) => opcode === 0xa)
    .map(({ payload }) => payload.toString("latin1"));
  return { frames, pongs: new Set(pongs) };
}

function judge(frames: readonly ServerFrame[], tally: SocketTally): void {
  for (const { opcode, payload, isOdd } of frames) {
    if (isOdd) throw new Error(`a frame that no server sends, opcode ${opcode}`);
    const name = nameOf(opcode, payload);
    tally.answers.set(name, (tally.answers.get(name) ?? 0) + 1);
  }
}

/** What a frame of the server is; throws when it is none that it may send. */
function nameOf(opcode: number, payload: Buffer): string {
  if (opcode === 0x9 || opcode === 0xa) return opcode === 0x9 ? "ping of the protocol" : "pong";
  if (opcode === 0x8) {
    const code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
    // What a client said is said back.
    if (!CODES.has(code) && code !== 1005 && !(code >= 3000 && code < 5000))
      throw new Error(`closed with ${code}`);
    return `close ${code}`;
  }
  if (opcode !== 0x1) throw new Error(`opcode ${opcode}`);
  const text = new TextDecoder("utf-8", { fatal: true }).decode(payload);
  const { type } = JSON.parse(text) as { type?: unknown };
  if (typeof type !== "string" || !TYPES.has(type)) throw new Error(`a frame of type ${type}`);
  return type;
}
