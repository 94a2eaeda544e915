/** A resolver that answers what the rig wants, and something else the next time (F172). */
import { isIP } from "node:net";

const A = 1;
const AAAA = 28;
const NAME_ERROR = 3;

/** Addresses of a name, both families together; `turn` counts from 0 how often this family was asked for. */
export type Zone = (name: string, turn: number) => readonly string[] | undefined;

export interface Resolver extends Disposable {
  /** Questions so far. */
  readonly asked: number;
  /** Names that were answered differently than before. */
  readonly flipped: number;
}

/** Answers on UDP port 53 of that address, every answer good for this moment only. */
export async function startResolver(hostname: string, zone: Zone): Promise<Resolver> {
  const turns = new Map<string, number>();
  const last = new Map<string, string>();
  const counters = { asked: 0, flipped: 0 };
  const socket = await Bun.udpSocket({
    hostname,
    port: 53,
    socket: {
      data(own, packet, port, address) {
        const question = read(packet);
        if (!question) return;
        counters.asked += 1;
        const key = `${question.name} ${question.type}`;
        const turn = turns.get(key) ?? 0;
        turns.set(key, turn + 1);
        const addresses = zone(question.name, turn);
        const text = String(addresses);
        if (last.has(key) && last.get(key) !== text) counters.flipped += 1;
        last.set(key, text);
        own.send(answer(packet, question, addresses), port, address);
      },
    },
  });
  return {
    get asked() {
      return counters.asked;
    },
    get flipped() {
      return counters.flipped;
    },
    [Symbol.dispose]: () => socket.close(),
  };
}

interface Question {
  name: string;
  type: number;
  /** Where the question ends in the packet. */
  end: number;
}

/** The one question of a query (RFC 1035 §4.1.2). */
function read(packet: Buffer): Question | undefined {
  const labels: string[] = [];
  let at = 12;
  for (let length = packet[at]; length !== undefined && length > 0; length = packet[at]) {
    labels.push(packet.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  if (packet.length < at + 5) return undefined;
  return { name: labels.join(".").toLowerCase(), type: packet.readUInt16BE(at + 1), end: at + 5 };
}

function answer(query: Buffer, { type, end }: Question, addresses: readonly string[] | undefined): Buffer {
  const wanted = (addresses ?? []).filter((it) => isIP(it) === (type === A ? 4 : type === AAAA ? 6 : 0));
  const head = Buffer.alloc(12);
  query.copy(head, 0, 0, 2);
  head.writeUInt16BE(0x8580 | (addresses === undefined ? NAME_ERROR : 0), 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(wanted.length, 6);
  return Buffer.concat([head, query.subarray(12, end), ...wanted.map((it) => record(it, type))]);
}

/** Points to the name of the question, lives for no time at all. */
function record(address: string, type: number): Buffer {
  const data = type === A ? Buffer.from(address.split(".").map(Number)) : bytesOf6(address);
  const head = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, data.length]);
  return Buffer.concat([head, data]);
}

function bytesOf6(address: string): Buffer {
  const [left = "", right = ""] = address.split("::");
  const of = (side: string): number[] =>
    side.split(":").flatMap((group) => (group === "" ? [] : [Number.parseInt(group, 16)]));
  const zeros = Array<number>(8 - of(left).length - of(right).length).fill(0);
  const bytes = Buffer.alloc(16);
  for (const [index, group] of [...of(left), ...zeros, ...of(right)].entries())
    bytes.writeUInt16BE(group, 2 * index);
  return bytes;
}
