/** Addresses that a service of ours must never ask for a stranger, and the ways to write them (F166-F169). */

/** IPv4: this machine, networks inside, metadata services, reserved ranges. */
export const INSIDE_4 = [
  "127.0.0.1",
  "127.8.9.10",
  "0.0.0.0",
  "10.0.0.1",
  "172.16.0.1",
  "192.168.1.1",
  "100.64.0.1",
  "169.254.169.254",
  "169.254.1.1",
  "100.100.100.200",
  "192.0.0.192",
  "168.63.129.16",
  "198.18.0.1",
  "240.0.0.1",
] as const;

/** IPv6: this machine, local networks, metadata services, and IPv4 addresses inside of IPv6 ones. */
export const INSIDE_6 = [
  "::1",
  "::",
  "fd00:ec2::254",
  "fd20:ce::254",
  "fd12:3456::1",
  "fec0::1",
  "64:ff9b::7f00:1",
  "64:ff9b::a9fe:a9fe",
  "2002:7f00:1::1",
  "2002:a9fe:a9fe::1",
  "::7f00:1",
  "::ffff:0:a9fe:a9fe",
] as const;

/** Names that mean an address inside whatever a resolver says, or that no resolver should be asked for. */
const NAMES = [
  "localhost",
  "LOCALHOST",
  "localhost.",
  "localhost....",
  "a.localhost",
  "%6cocalhost",
  "ｌｏｃａｌｈｏｓｔ",
  "metadata",
  "metadata.google.internal",
  "METADATA.google.internal.",
  "metadata.goog",
  "instance-data.ec2.internal",
] as const;

export interface Spelling {
  /** The host as it stands in a URL. */
  host: string;
  /** What it means; names of which only the resolver knows an address have it here too. */
  address: string;
  /** For the resolver: no check before it can tell. */
  resolved?: boolean;
}

type Bytes = [number, number, number, number];
const hex = (value: number, digits = 1): string => value.toString(16).padStart(digits, "0");
const octal = (value: number): string => `0${value.toString(8)}`;

function spellingsOf4(address: string): string[] {
  const bytes = address.split(".").map(Number) as Bytes;
  const [a, b, c, d] = bytes;
  const whole = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
  const low24 = whole & 0xff_ff_ff;
  const groups = `${hex((a << 8) | b)}:${hex((c << 8) | d)}`;
  const digits = (of: (digit: number) => string): string => address.replace(/\d/g, (it) => of(Number(it)));
  return [
    address,
    `${whole}`,
    `0x${hex(whole)}`,
    `0X${hex(whole, 8).toUpperCase()}`,
    octal(whole),
    bytes.map((byte) => `0x${hex(byte)}`).join("."),
    bytes.map((byte) => `0${octal(byte).padStart(4, "0")}`).join("."),
    `${a}.${b}.${(c << 8) | d}`,
    `${a}.${low24}`,
    `0x${hex(a)}.${low24}`,
    `${octal(a)}.0x${hex(b)}.${(c << 8) | d}`,
    `${address}.`,
    digits((digit) => String.fromCodePoint(0xff10 + digit)),
    digits((digit) => (digit === 0 ? "⓪" : String.fromCodePoint(0x245f + digit))),
    address.replaceAll(".", "。"),
    digits((digit) => `%3${digit}`),
    address.replace(".", "\u00ad."),
    `[::ffff:${address}]`,
    `[::ffff:${groups}]`,
    `[0:0:0:0:0:FFFF:${groups}]`,
    `[::ffff:0:${groups}]`,
    `[64:ff9b::${groups}]`,
    `[2002:${groups}::1]`,
    // Below this it would be an address of IPv6's own.
    ...(whole > 0xff_ff ? [`[::${groups}]`] : []),
  ];
}

/** `fd00:ec2::254` with every zero written out. */
function expanded(address: string): string {
  const [left = "", right = ""] = address.split("::");
  const of = (side: string): string[] => side.split(":").filter((group) => group !== "");
  const missing = 8 - of(left).length - of(right).length;
  const all = [...of(left), ...Array<string>(missing).fill("0"), ...of(right)];
  return all.map((group) => group.padStart(4, "0")).join(":");
}

const spellingsOf6 = (address: string): string[] => [
  `[${address}]`,
  `[${expanded(address)}]`,
  `[${expanded(address).toUpperCase()}]`,
  `[${expanded(address).replace(/(^|:)0+(?=[0-9a-f])/g, "$1")}]`,
];

/** Names of services that answer with the address in their own name, as the rig's resolver does below `.nip.test`. */
const wildcard = (address: string): string[] => [wildcardName(address), `any.${wildcardName(address)}`];

/** `127.0.0.1` -> `a127-0-0-1z.nip.test`: a label may not begin or end with a hyphen. */
export const wildcardName = (address: string): string => `a${address.replaceAll(/[.:]/g, "-")}z.nip.test`;

/** Every spelling, each once. */
export function spellings(): Spelling[] {
  const four = INSIDE_4.flatMap((address) => spellingsOf4(address).map((host) => ({ host, address })));
  const six = INSIDE_6.flatMap((address) => spellingsOf6(address).map((host) => ({ host, address })));
  const named = NAMES.map((host) => ({ host, address: "127.0.0.1" }));
  const found = [...INSIDE_4, ...INSIDE_6].flatMap((address) =>
    wildcard(address).map((host) => ({ host, address, resolved: true })),
  );
  const all = new Map<string, Spelling>([...four, ...six, ...named, ...found].map((it) => [it.host, it]));
  return [...all.values()];
}

/** The address that a name below `.nip.test` asks for; undefined for any other name. */
export function addressIn(name: string): string | undefined {
  return [...INSIDE_4, ...INSIDE_6].find((address) => `.${name}`.endsWith(`.${wildcardName(address)}`));
}

/** What no URL may look like: parsers disagree about where it leads (F171). `to` is a host inside. */
export const ambiguous = (to: string, open: string): string[] => [
  `http://${open}@${to}/m.bin`,
  `http://${to}\\@${open}/m.bin`,
  `http://${open}\\.${to}/m.bin`,
  `http://user:pass@${to}/m.bin`,
  `http://${to}\t/m.bin`,
  `http://${to}\r\nHost:${open}/m.bin`,
  `http://${to} /m.bin`,
  `http:\\\\${to}\\m.bin`,
  `http://[${to}/m.bin`,
  `http://${to}:99999/m.bin`,
  `http://${to}:0/m.bin`,
  `file://${to}/etc/hostname`,
  `gopher://${to}:70/m.bin`,
];
