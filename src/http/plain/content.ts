import { cut, malformed } from "../faults.ts";
import type { Connection } from "./connection.ts";
import type { Framing } from "./head.ts";

/** Longest line that says how long a chunk is, extensions included, and most bytes behind the last chunk. */
const MAX_SIZE_LINE = 4096;
const MAX_TRAILERS = 64 * 1024;
const CR = 13;
const LF = 10;

/** The bytes of a body, without what frames them; null once it is complete. */
export type Content = () => Promise<Uint8Array | null>;

/**
 * Reads a body to its end and no further. `complete` is called once, when its end has been seen. Rejects with `network`
 * when the connection ends before, with `protocol` for broken chunks.
 */
export function contentOf(
  connection: Connection,
  framing: Framing,
  host: string,
  complete: () => void,
): Content {
  if (framing.kind === "length") return sized(connection, framing.length, host, complete);
  if (framing.kind === "chunked") return chunked(connection, host, complete);
  return toTheEnd(connection, complete);
}

function sized(connection: Connection, length: number, host: string, complete: () => void): Content {
  let left = length;
  let told = false;
  return async () => {
    if (left > 0) {
      const bytes = await connection.read();
      if (bytes === null) throw cut(host);
      const used = bytes.length > left ? bytes.subarray(0, left) : bytes;
      connection.unread(bytes.subarray(used.length));
      left -= used.length;
      return used;
    }
    if (!told) complete();
    told = true;
    return null;
  };
}

function toTheEnd(connection: Connection, complete: () => void): Content {
  return async () => {
    const bytes = await connection.read();
    if (bytes === null) complete();
    return bytes;
  };
}

/** RFC 9112 §7.1. */
function chunked(connection: Connection, host: string, complete: () => void): Content {
  let left = 0;
  let isFirst = true;
  let over = false;
  return async () => {
    if (over) return null;
    if (left === 0) {
      if (!isFirst) await endOfChunk(connection, host);
      isFirst = false;
      left = await chunkSize(connection, host);
      if (left === 0) {
        await trailers(connection, host);
        over = true;
        complete();
        return null;
      }
    }
    const bytes = await connection.read();
    if (bytes === null) throw cut(host);
    const used = bytes.length > left ? bytes.subarray(0, left) : bytes;
    connection.unread(bytes.subarray(used.length));
    left -= used.length;
    return used;
  };
}

async function chunkSize(connection: Connection, host: string): Promise<number> {
  const text = await line(connection, host, MAX_SIZE_LINE);
  const hex = /^([0-9a-fA-F]{1,13})[ \t]*(?:;.*)?$/s.exec(text)?.[1];
  if (hex === undefined) throw malformed(host, "a chunk without a size");
  return Number.parseInt(hex, 16);
}

async function endOfChunk(connection: Connection, host: string): Promise<void> {
  if ((await line(connection, host, 2)) !== "") throw malformed(host, "a chunk longer than its size");
}

/** Fields behind the body say nothing that we would use. */
async function trailers(connection: Connection, host: string): Promise<void> {
  for (let room = MAX_TRAILERS; ; ) {
    const text = await line(connection, host, room);
    if (text === "") return;
    room -= text.length + 2;
  }
}

/** Text up to the next line end, which is taken as well. */
async function line(connection: Connection, host: string, most: number): Promise<string> {
  let text = "";
  for (;;) {
    const bytes = await connection.read();
    if (bytes === null) throw cut(host);
    const end = bytes.indexOf(LF);
    const part = end < 0 ? bytes : bytes.subarray(0, end);
    text += Buffer.from(part.buffer, part.byteOffset, part.length).toString("latin1");
    if (text.length > most) throw malformed(host, "chunks that are framed wrongly");
    if (end < 0) continue;
    connection.unread(bytes.subarray(end + 1));
    return text.charCodeAt(text.length - 1) === CR ? text.slice(0, -1) : text;
  }
}
