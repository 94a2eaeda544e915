import { lookup } from "node:dns/promises";
import { connect, type Socket } from "node:net";
import { DownloadError } from "../core/errors.ts";
import type { Clock } from "../core/ports.ts";
import {
  type Address,
  type AddressRules,
  hostOf,
  isLocalhost,
  LOOPBACK,
  literal,
  portOf,
} from "./addresses.ts";
import { codeOf, connectFailed, dnsFailed, tooSlow } from "./faults.ts";

export type Resolver = (host: string) => Promise<readonly Address[]>;

export interface DialOptions {
  rules: AddressRules;
  resolver?: Resolver;
  clock: Clock;
  /** How long a name's chosen address is used without asking again. */
  ttlMs: number;
  /** Head start of one address over the next (RFC 8305 §5; F66). */
  staggerMs: number;
}

export interface Dialled {
  address: Address;
  /** True when the address was chosen by an earlier request and may have gone bad since. */
  cached: boolean;
}

export interface Dialer {
  /**
   * The one address to use for this URL: resolved, allowed, and reached by TCP a moment ago (at most `ttlMs`).
   * Rejects with `dns`, `forbidden_address` or `connect`, or the signal's reason.
   */
  dial(url: URL, options: { trusted: boolean; limitMs: number; signal?: AbortSignal }): Promise<Dialled>;
  /** The address failed: choose anew next time. */
  forget(url: URL): void;
}

interface Entry {
  addresses: Promise<readonly Address[]>;
  connected?: Promise<Address>;
  expires: number;
}

const MAX_ENTRIES = 1000;
/** A name with more addresses than this is not tried to the end. */
const MAX_TRIES = 16;

/**
 * Chooses addresses before the client connects, so that what was checked is what is asked: a name that resolves to
 * something else a moment later changes nothing (F172). Where a name has several addresses they race with a bare TCP
 * connection, once per host and `ttlMs`, so that a dead IPv6 or a black hole is left within `staggerMs` (F59, F66).
 */
export function createDialer(options: DialOptions): Dialer {
  const { rules, clock } = options;
  const resolver = options.resolver ?? systemLookup;
  const entries = new Map<string, Entry>();
  const keyOf = (url: URL) => `${hostOf(url)} ${portOf(url)}`;

  const entryFor = (url: URL, limitMs: number): Entry => {
    const known = entries.get(keyOf(url));
    if (known && known.expires > clock.monotonic()) return known;
    const entry: Entry = {
      addresses: resolve(hostOf(url), resolver, limitMs),
      expires: clock.monotonic() + options.ttlMs,
    };
    entries.delete(keyOf(url));
    if (entries.size >= MAX_ENTRIES) entries.delete(entries.keys().next().value!);
    entries.set(keyOf(url), entry);
    return entry;
  };
  /** Failures are not remembered (F65). */
  const forgetOnFailure = <T>(url: URL, entry: Entry, promise: Promise<T>): Promise<T> => {
    promise.catch(() => {
      if (entries.get(keyOf(url)) === entry) entries.delete(keyOf(url));
    });
    return promise;
  };

  return {
    async dial(url, { trusted, limitMs, signal }) {
      rules.checkHost(url, trusted);
      const started = clock.monotonic();
      const entry = entryFor(url, limitMs);
      const addresses = await abortable(forgetOnFailure(url, entry, entry.addresses), signal);
      rules.checkAddresses(url, addresses, trusted);
      const cached = entry.connected !== undefined && literal(hostOf(url)) === undefined;
      const restMs = Math.max(limitMs - (clock.monotonic() - started), options.staggerMs);
      entry.connected ??= race(url, interleave(addresses), restMs, options.staggerMs);
      return { address: await abortable(forgetOnFailure(url, entry, entry.connected), signal), cached };
    },
    forget(url) {
      entries.delete(keyOf(url));
    },
  };
}

async function systemLookup(host: string): Promise<readonly Address[]> {
  const found = await lookup(host, { all: true, verbatim: true });
  return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
}

async function resolve(host: string, resolver: Resolver, limitMs: number): Promise<readonly Address[]> {
  const known = literal(host);
  if (known) return [known];
  if (isLocalhost(host)) return LOOPBACK;
  const { promise: deadline, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(tooSlow("dns", host, "was not resolved", limitMs)), limitMs);
  try {
    const addresses = await Promise.race([resolver(host), deadline]);
    if (addresses.length === 0) throw dnsFailed(host, "it has no address");
    return addresses;
  } catch (error) {
    throw error instanceof DownloadError ? error : dnsFailed(host, reasonOf(error));
  } finally {
    clearTimeout(timer);
  }
}

const reasonOf = (error: unknown): string =>
  codeOf(error) === "ENOTFOUND"
    ? "there is no such name"
    : `the resolver failed (${codeOf(error) || "no reason"})`;

/** Families taken in turns, beginning with the resolver's first choice (RFC 8305 §4). */
export function interleave(addresses: readonly Address[]): Address[] {
  const first = addresses.filter((one) => one.family === addresses[0]?.family);
  const second = addresses.filter((one) => one.family !== addresses[0]?.family);
  const mixed: Address[] = [];
  for (let i = 0; i < Math.max(first.length, second.length); i++)
    mixed.push(...[first[i], second[i]].filter((one) => one !== undefined));
  return mixed.slice(0, MAX_TRIES);
}

/**
 * The first address that accepts a TCP connection; the next is tried after `staggerMs`, or at once on a failure.
 * A single one is taken unseen: `watchConnect` looks after it.
 */
async function race(
  url: URL,
  addresses: readonly Address[],
  limitMs: number,
  staggerMs: number,
): Promise<Address> {
  if (addresses.length === 1) return addresses[0]!;
  const { promise, resolve, reject } = Promise.withResolvers<Address>();
  const sockets: Socket[] = [];
  let failures = 0;
  let stagger: Timer | undefined;
  const limit = setTimeout(
    () => reject(tooSlow("connect", url.host, "accepted no connection", limitMs)),
    limitMs,
  );
  const next = (): void => {
    clearTimeout(stagger);
    const address = addresses[sockets.length];
    if (address === undefined) return;
    const socket = connect({ host: address.address, port: portOf(url) });
    sockets.push(socket);
    socket.once("connect", () => resolve(address));
    socket.on("error", (error) => {
      if (++failures === addresses.length) reject(connectFailed(url.host, error));
      else next();
    });
    stagger = setTimeout(next, staggerMs);
  };
  next();
  return promise.finally(() => {
    clearTimeout(limit);
    clearTimeout(stagger);
    for (const socket of sockets) socket.destroy();
  });
}

/** Silence after which a request's connection itself is doubted. */
const DOUBT_MS = 2_000;

/**
 * `fetch` does not tell a connection that is not made from an answer that is not sent. So while a request hears
 * nothing, a second connection is tried beside it; when that has not been accepted `limitMs` after the beginning,
 * `dead` is called with `connect` (F59). Call the function it gives back when the answer has come.
 */
export function watchConnect(
  url: URL,
  { address }: Address,
  limitMs: number,
  dead: (error: DownloadError) => void,
): () => void {
  const doubtMs = Math.min(DOUBT_MS, limitMs / 2);
  let socket: Socket | undefined;
  const stop = (): void => {
    clearTimeout(timer);
    socket?.destroy();
  };
  let timer = setTimeout(() => {
    socket = connect({ host: address, port: portOf(url) });
    socket.once("connect", stop);
    // Refused: then the request will be told so itself, or its connection is older than the refusal.
    socket.on("error", stop);
    timer = setTimeout(
      () => dead(tooSlow("connect", url.host, "accepted no connection", limitMs)),
      limitMs - doubtMs,
    );
  }, doubtMs);
  return stop;
}

/** The promise, or the signal's reason as soon as it is aborted. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  const { promise: result, resolve, reject } = Promise.withResolvers<T>();
  const abort = () => reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  return result;
}
