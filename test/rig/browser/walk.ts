import type { Daemon } from "../../support/daemon.ts";
import type { RawAnswer } from "../../support/raw.ts";
import { type Cell, type Credential, linesOf, mayPass } from "./matrix.ts";
import { CANARY, type Target } from "./targets.ts";
import { Wire } from "./wire.ts";

const WIRES = 8;

export interface Tally {
  requests: number;
  /** Let through, and rightly so. */
  passed: number;
  /** Streams that were opened and sockets that were upgraded, rightly so. */
  opened: number;
  /** Requests that had to be refused and were not, or after which something had changed. */
  effects: string[];
  /** Answers with data, or with leave to read, for a page that must not have it. */
  readable: string[];
  /** Requests that had to be let through and were not. */
  refused: string[];
}

export const emptyTally = (): Tally => ({
  requests: 0,
  passed: 0,
  opened: 0,
  effects: [],
  readable: [],
  refused: [],
});

/** A daemon, and what its requests carry. */
export interface Front {
  daemon: Daemon;
  credential: Credential;
  /** Header lines of every request, such as the session's cookie. */
  lines: readonly string[];
}

/** Fires every cell at one target, and looks afterwards whether anything has changed. */
export async function walk(front: Front, target: Target, cells: Iterable<Cell>, tally: Tally): Promise<void> {
  const before = await fingerprint(front.daemon);
  const iterator = cells[Symbol.iterator]();
  const work = async (): Promise<void> => {
    const wire = new Wire(Number(new URL(front.daemon.base).port));
    for (let it = iterator.next(); !it.done; it = iterator.next())
      await fire(wire, front, target, it.value, tally);
    wire.close();
  };
  await Promise.all(Array.from({ length: WIRES }, work));
  const after = await fingerprint(front.daemon);
  if (after !== before)
    tally.effects.push(`${front.credential}: after ${target.name}: ${before} became ${after}`);
}

async function fire(wire: Wire, front: Front, target: Target, cell: Cell, tally: Tally): Promise<void> {
  const credential = target.isOpen && front.credential === "none" ? "exempt" : front.credential;
  const passes = mayPass(cell, { ...target, credential });
  const isHarmless = !target.changes && !target.starts;
  const shot = passes && !isHarmless ? target.blunt : target.sharp;
  if (!shot) return;
  const request = requestText(target, shot.path, shot.body, [...linesOf(cell), ...front.lines]);
  const answer = await (target.isStream ? wire.peek(request) : wire.ask(request));
  tally.requests += 1;
  const story = `${credential}: ${request.split("\r\n\r\n")[0]?.replaceAll("\r\n", " | ")} -> ${answer.status}`;
  const isRefused = refused(answer, target.method === "HEAD", cell.host.isGood);
  if (passes && isRefused) tally.refused.push(story);
  if (passes && !isRefused) tally.passed += 1;
  if (passes && target.isStream && [101, 200].includes(answer.status)) tally.opened += 1;
  if (!passes && (!isRefused || answer.header("set-cookie").length > 0)) tally.effects.push(story);
  if (mayBeRead(answer, cell, credential)) tally.readable.push(story);
}

/** Whether one of the walls has answered, or the HTTP parser, and not the route. A HEAD has no text that tells. */
function refused({ status, text }: RawAnswer, isHead: boolean, isOwnHost: boolean): boolean {
  if ([401, 403, 415, 421].includes(status)) return true;
  if (status !== 400) return false;
  return isHead ? !isOwnHost : /Host header/.test(text) || !text.includes("{");
}

/** Whether a page of that origin, or one behind that name, gets to read what it must not. */
function mayBeRead(answer: RawAnswer, { host, origin }: Cell, credential: Credential): boolean {
  const isData = answer.text.includes(CANARY);
  if (isData && (!host.isGood || credential === "none")) return true;
  // With credentials that go along by themselves a browser wants more than `*`.
  if (answer.header("access-control-allow-credentials").length > 0) return true;
  const allowed = answer.header("access-control-allow-origin");
  if (allowed.some((value) => value !== "*")) return true;
  if (credential === "open" && !origin.isGood && allowed.length > 0) return true;
  // By a tag instead of a script: neither shown nor guessed at.
  const isShut = answer.header("cross-origin-resource-policy")[0] === "same-origin";
  const isTyped = answer.header("x-content-type-options")[0] === "nosniff";
  return isData && !(isShut && isTyped) && answer.status !== 101;
}

function requestText(target: Target, path: string, body: string, lines: readonly string[]): string {
  const upgrade = target.isSocket
    ? [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      ]
    : [];
  const length = target.changes ? [`Content-Length: ${Buffer.byteLength(body)}`] : [];
  const head = [`${target.method} ${path} HTTP/1.1`, ...lines, ...upgrade, ...length];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}

interface Row {
  id: string | number;
  state?: string;
  priority?: number;
}

/** All of the daemon's state that a request can change. */
export async function fingerprint(daemon: Daemon): Promise<string> {
  const [downloads, settings, engines, files] = await Promise.all(
    ["/v1/downloads?state=all&limit=1000", "/v1/settings", "/engines", "/v1/files"].map((path) =>
      daemon.must("GET", path),
    ),
  );
  const rows = (all: Row[]): string[] =>
    all.map(({ id, state, priority }) => `${id} ${state} ${priority}`).sort();
  return JSON.stringify([
    rows(downloads.active_downloads),
    settings,
    engines.engines ?? engines,
    rows(files.files),
  ]);
}
