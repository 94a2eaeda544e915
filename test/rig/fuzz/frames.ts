import { between, oneOf } from "../../support/random.ts";
import type { Random } from "./values.ts";

export const FRAME_KINDS = [
  "command",
  "text",
  "binary",
  "control",
  "fragments",
  "opcode",
  "reserved bits",
  "unmasked",
  "length",
  "large",
  "close",
  "cut off",
] as const;
export type FrameKind = (typeof FRAME_KINDS)[number];

/** What is sent over a WebSocket as one thing: a frame, or several that belong together. */
export interface Sent {
  kind: FrameKind;
  bytes: Buffer;
  /** The other side cannot tell where it ends, so nothing behind it is understood. */
  isOpen?: boolean;
}

const CONTINUATION = 0x0;
const TEXT = 0x1;
const BINARY = 0x2;
const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;
/** The largest message that the service takes. */
const LIMIT = 64 * 1024;

interface Head {
  opcode: number;
  /** Not the last piece of its message. */
  more?: boolean;
  reserved?: number;
  unmasked?: boolean;
  /** Bytes of the length field; the shortest that fits when not given. */
  wide?: 2 | 8;
  /** Length that is told, when it is not the real one. */
  told?: bigint;
}

/** One frame as RFC 6455 §5.2 draws it, or as it must not be. */
export function frame(
  { opcode, more = false, reserved = 0, unmasked = false, wide, told }: Head,
  payload: Uint8Array,
  next: Random,
): Buffer {
  const length = told ?? BigInt(payload.length);
  const width = wide ?? (length < 126n ? 0 : length < 65_536n ? 2 : 8);
  const head = Buffer.alloc(2 + width);
  head[0] = (more ? 0 : 0x80) | (reserved << 4) | opcode;
  head[1] = (unmasked ? 0 : 0x80) | (width === 0 ? Number(length) : width === 2 ? 126 : 127);
  if (width === 2) head.writeUInt16BE(Number(length & 0xffffn), 2);
  if (width === 8) head.writeBigUInt64BE(length, 2);
  if (unmasked) return Buffer.concat([head, payload]);
  const mask = Buffer.from([next(), next(), next(), next()].map((it) => Math.floor(it * 256)));
  return Buffer.concat([head, mask, payload.map((byte, i) => byte ^ mask[i % 4]!)]);
}

export const ping = (payload: string, next: Random): Buffer =>
  frame({ opcode: PING }, Buffer.from(payload), next);

const bytes = (next: Random, most: number): Buffer =>
  Buffer.from(Array.from({ length: between(next, 0, most) }, () => Math.floor(next() * 256)));

const VALUES: readonly unknown[] = [
  ...["", "m1", "m2", "404", "..", "a\u0000b", "\ud800", "x".repeat(600), "__proto__", "all"],
  ...[
    null,
    true,
    0,
    -1,
    0.5,
    2 ** 53,
    1e300,
    [],
    ["m1"],
    ["m1", 7],
    [[]],
    {},
    { url: "http://127.0.0.1:9/a" },
  ],
  { url: "http://127.0.0.1:9/b", model_id: "m3" },
  { repo_id: "acme/tiny-gguf", filename: "tiny-Q4_K_M.gguf", model_id: "m4" },
  Array.from({ length: 1001 }, (_, i) => `m${i}`),
];
const COMMANDS: readonly Record<string, unknown>[] = [
  { type: "subscribe" },
  { type: "subscribe", ref: "s", ids: ["m1"] },
  { type: "subscribe", since: 1 },
  { type: "unsubscribe", ref: 1 },
  { type: "unsubscribe", ids: ["m1"] },
  { type: "start", ref: 2, body: { url: "http://127.0.0.1:9/a", model_id: "m1" } },
  ...["pause", "resume", "cancel", "retry"].map((type) => ({ type, ref: "c", id: "m1" })),
];
const MEMBERS = ["type", "ref", "id", "ids", "since", "body", "constructor", "__proto__"];

/** A command of the protocol, as it is or changed: a member more, less or other, or text that is no JSON any more. */
function command(next: Random): string {
  const told: Record<string, unknown> = { ...oneOf(next, COMMANDS) };
  for (let changes = between(next, 0, 3); changes > 0; changes--) {
    const member = oneOf(next, MEMBERS);
    if (next() < 0.3) delete told[member];
    else
      Object.defineProperty(told, member, {
        value: oneOf(next, VALUES),
        enumerable: true,
        configurable: true,
      });
  }
  const text = JSON.stringify(told);
  const way = next();
  if (way < 0.8) return text;
  if (way < 0.9) return text.slice(0, between(next, 0, text.length));
  return `{"type":${"[".repeat(between(next, 1, 500))}`;
}

/** A message in pieces, with what must not or may stand between them. */
function fragments(next: Random): Buffer {
  const text = Buffer.from(command(next));
  const pieces: Buffer[] = [];
  const count = between(next, 1, 6);
  for (let i = 0; i < count; i++) {
    const part = text.subarray((text.length * i) / count, (text.length * (i + 1)) / count);
    const opcode = i === 0 && next() < 0.95 ? TEXT : next() < 0.95 ? CONTINUATION : BINARY;
    pieces.push(frame({ opcode, more: i < count - 1 || next() < 0.1 }, part, next));
    if (next() < 0.2) pieces.push(ping("between", next));
  }
  return Buffer.concat(pieces);
}

function close(next: Random): Buffer {
  const code = Buffer.alloc(2);
  code.writeUInt16BE(oneOf(next, [1000, 1001, 1005, 1006, 1015, 0, 999, 2999, 3000, 4999, 5000, 65_535]));
  const reason = oneOf(next, [
    Buffer.alloc(0),
    Buffer.from("bye"),
    Buffer.from([0xc3, 0x28]),
    bytes(next, 123),
  ]);
  const payload = Buffer.concat([code, reason]).subarray(0, oneOf(next, [0, 1, 2, 125]));
  return frame({ opcode: CLOSE }, payload, next);
}

/** Lengths in a wider field than they need (RFC 6455 forbids it), or of what can never come. */
function lengthOf(next: Random): Omit<Sent, "kind"> {
  const payload = Buffer.from(command(next));
  const wide = oneOf(next, [2, 8] as const);
  if (next() < 0.5) return { bytes: frame({ opcode: TEXT, wide }, payload, next) };
  const told = oneOf(next, [65_537n, 1n << 31n, 1n << 32n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n]);
  return { bytes: frame({ opcode: TEXT, wide: 8, told }, payload, next) };
}

const MAKERS: Record<FrameKind, (next: Random) => Omit<Sent, "kind">> = {
  command: (next) => ({ bytes: frame({ opcode: TEXT }, Buffer.from(command(next)), next) }),
  text: (next) => ({ bytes: frame({ opcode: TEXT }, bytes(next, 200), next) }),
  binary: (next) => ({ bytes: frame({ opcode: BINARY }, bytes(next, 300), next) }),
  control: (next) => {
    const head = { opcode: oneOf(next, [PING, PONG]), more: next() < 0.2 };
    return { bytes: frame(head, bytes(next, next() < 0.8 ? 125 : 400), next) };
  },
  fragments: (next) => ({ bytes: fragments(next) }),
  opcode: (next) => ({
    bytes: frame({ opcode: oneOf(next, [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) }, bytes(next, 60), next),
  }),
  "reserved bits": (next) => ({
    bytes: frame({ opcode: TEXT, reserved: between(next, 1, 7) }, Buffer.from(command(next)), next),
  }),
  unmasked: (next) => ({ bytes: frame({ opcode: TEXT, unmasked: true }, Buffer.from(command(next)), next) }),
  length: lengthOf,
  large: (next) => {
    const size = oneOf(next, [LIMIT - 1, LIMIT, LIMIT + 1, 2 * LIMIT, 1024 * 1024]);
    const text = Buffer.from(`{"type":"subscribe","x":"${"x".repeat(size - 27)}"}`);
    return { bytes: frame({ opcode: TEXT }, text, next) };
  },
  close: (next) => ({ bytes: close(next) }),
  "cut off": (next) => {
    const whole = frame({ opcode: TEXT }, Buffer.from(command(next)), next);
    return { bytes: whole.subarray(0, between(next, 1, whole.length - 1)), isOpen: true };
  },
};

/** How often each, of a hundred. */
const WEIGHTS: Record<FrameKind, number> = {
  command: 48,
  text: 8,
  binary: 4,
  control: 10,
  fragments: 12,
  opcode: 2,
  "reserved bits": 2,
  unmasked: 2,
  length: 3,
  large: 3,
  close: 3,
  "cut off": 3,
};

const OF_A_HUNDRED = FRAME_KINDS.flatMap((kind) => Array.from({ length: WEIGHTS[kind] }, () => kind));

/** So many sockets keep to the form of a frame: then what is said in it gets further. */
const WELL_FORMED = 0.4;

/** What the socket of this number sends, in order: nothing follows what has no end. */
export function framesOf(next: Random): Sent[] {
  const sent: Sent[] = [];
  const isWellFormed = next() < WELL_FORMED;
  for (let count = between(next, 1, 16); count > 0; count--) {
    const kind = isWellFormed ? "command" : oneOf(next, OF_A_HUNDRED);
    const one = { ...MAKERS[kind](next), kind };
    sent.push(one);
    if (one.isOpen === true) break;
  }
  return sent;
}
