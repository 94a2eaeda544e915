/** The few ASN.1 types that a certificate is made of, in DER (ITU-T X.690). */
export type Der = Uint8Array;

function tagged(tag: number, content: Uint8Array): Der {
  const length = content.length;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Uint8Array.of(tag, ...size), content]);
}

export const sequence = (...parts: Der[]): Der => tagged(0x30, Buffer.concat(parts));
export const set = (...parts: Der[]): Der => tagged(0x31, Buffer.concat(parts));
export const octets = (content: Uint8Array): Der => tagged(0x04, content);
export const utf8 = (text: string): Der => tagged(0x0c, Buffer.from(text));

/** A bit string whose last `unused` bits do not count. */
export const bits = (content: Uint8Array, unused = 0): Der =>
  tagged(0x03, Buffer.concat([Uint8Array.of(unused), content]));

/** A positive integer below 2^53. */
export function integer(value: number): Der {
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
  return tagged(0x02, bytes[0]! >= 0x80 ? Buffer.concat([Uint8Array.of(0), bytes]) : bytes);
}

/** An object identifier in dotted notation. */
export function oid(dotted: string): Der {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return tagged(0x06, Uint8Array.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const digits = [value & 0x7f];
  for (let left = value >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80);
  return digits;
}

/** UTCTime, good until 2049. */
export function time(date: Date): Der {
  const digits = date.toISOString().replace(/\D/g, "");
  return tagged(0x17, Buffer.from(`${digits.slice(2, 14)}Z`));
}

/** A context-specific tag, around other values unless it is primitive. */
export function context(
  number: number,
  content: Uint8Array,
  form: "constructed" | "primitive" = "constructed",
): Der {
  return tagged((form === "constructed" ? 0xa0 : 0x80) | number, content);
}
