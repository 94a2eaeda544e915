/** What is given to the daemon in confidence, and who may hear of it. */

/** Servers that the daemon talks to. */
export type Peer = "hub" | "cdn" | "origin" | "other" | "proxy";

export interface Secret {
  name: string;
  text: string;
  /** Peers it is meant for; nobody else may get it. */
  goesTo: readonly Peer[];
}

const LETTERS = "abcdefghijkmnpqrstuvwxyz23456789";

/** Letters and digits only, so that no encoding but base64 changes how it looks. */
export const word = (next: () => number, length = 24): string =>
  Array.from({ length }, () => LETTERS[Math.floor(next() * LETTERS.length)]).join("");

/** How a secret may look on the wire or on disk: as it is, and in base64 wherever in a group of three it begins. */
export function looksOf(text: string): string[] {
  const encoded = [0, 1, 2].map((before) => {
    const whole = Buffer.from("x".repeat(before) + text).toString("base64");
    // The first and the last group depend on what stands around it.
    return whole.slice(before === 0 ? 0 : 4, Math.floor((before + text.length) / 3) * 4);
  });
  return [text, ...encoded];
}

export class Plants {
  readonly all: Secret[] = [];
  readonly #next: () => number;

  constructor(next: () => number) {
    this.#next = next;
  }

  /** Letters that nothing else has. */
  word(): string {
    return word(this.#next);
  }

  /** Makes a secret up. */
  plant(name: string, ...goesTo: Peer[]): string {
    const text = `sec${word(this.#next)}`;
    this.all.push({ name, text, goesTo });
    return text;
  }

  /** One that somebody else has made. */
  keep(name: string, text: string, ...goesTo: Peer[]): string {
    this.all.push({ name, text, goesTo });
    return text;
  }
}

/** Where something was written or said. */
export interface Place {
  name: string;
  content: Buffer;
}

export interface Leak {
  secret: string;
  place: string;
  /** The text before it, for the message; not the secret itself. */
  before: string;
}

/** Every secret in every place where it must not be. */
export function leaksIn(secrets: readonly Secret[], places: readonly Place[]): Leak[] {
  const needles = secrets.flatMap(({ name, text }) => looksOf(text).map((look) => ({ name, look })));
  return places.flatMap(({ name: place, content }) =>
    needles.flatMap(({ name: secret, look }) => {
      const at = content.indexOf(look);
      if (at < 0) return [];
      const before = content.toString("latin1", Math.max(0, at - 80), at).replace(/[^\x20-\x7e]+/g, " ");
      return [{ secret, place, before }];
    }),
  );
}
