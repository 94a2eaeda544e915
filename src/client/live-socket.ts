import { ConnectionError, errorOf, type ModelhaulError } from "./errors.ts";
import { Inbox } from "./inbox.ts";
import { isLiveFrame, type LiveEvent, Refused, SnapshotParts, type Watched } from "./live-event.ts";
import type { SocketLike, Transport } from "./transport.ts";

/** Time a WebSocket has to be greeted. */
const GREETING_MS = 10_000;
/** In so many times that of a heartbeat something must come: two may be lost. */
const PATIENCE = 2.5;
const REF = "watch";

interface Frame {
  type?: unknown;
  seq?: number;
  heartbeat_seconds?: number;
  ref?: unknown;
  ok?: boolean;
  error?: { message?: unknown; type?: unknown; code?: unknown };
}

/**
 * Live events over the WebSocket, until it breaks (`ConnectionError`). Throws `Refused` when it never stood, and
 * `ModelhaulError` when the server will not tell of these downloads.
 */
export async function* overSocket(transport: Transport, watched: Watched): AsyncGenerator<LiveEvent> {
  const query = transport.hasKey ? await ticketOf(transport, watched.signal) : {};
  const socket = open(transport, query);
  if (!socket) throw new Refused("There are no WebSockets here");
  const inbox = new Inbox();
  const stop = (): void => inbox.end();
  watched.signal.addEventListener("abort", stop);
  const session = new Session(socket, inbox, watched);
  try {
    if (!watched.signal.aborted) yield* inbox;
  } finally {
    watched.signal.removeEventListener("abort", stop);
    session.close();
  }
}

async function ticketOf(transport: Transport, signal: AbortSignal): Promise<{ ticket: string }> {
  const { ticket } = await transport.json<{ ticket: string }>("POST", "/v1/tickets", { signal });
  return { ticket };
}

/** Browsers throw where the page's policy forbids it. */
function open(transport: Transport, query: Record<string, string>): SocketLike | undefined {
  try {
    return transport.socket("/v1/ws", query);
  } catch {
    return undefined;
  }
}

class Session {
  readonly #socket: SocketLike;
  readonly #inbox: Inbox;
  readonly #watched: Watched;
  readonly #parts = new SnapshotParts();
  #silenceMs = GREETING_MS;
  #heardAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isGreeted = false;

  constructor(socket: SocketLike, inbox: Inbox, watched: Watched) {
    this.#socket = socket;
    this.#inbox = inbox;
    this.#watched = watched;
    socket.onmessage = ({ data }: { data: unknown }) => this.#take(data);
    socket.onclose = () => this.#broke("The WebSocket was closed");
    socket.onerror = () => this.#broke("The WebSocket broke");
    this.#expect();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    this.#socket.onerror = () => {};
    this.#socket.close();
  }

  #broke(why: string, options: { timedOut?: boolean } = {}): void {
    this.#inbox.end(this.#isGreeted ? new ConnectionError(why, options) : new Refused(why));
  }

  /** Something must come soon. A timer for each of many frames would cost more than reading them: one looks back. */
  #expect(): void {
    this.#heardAt = performance.now();
    this.#timer ??= setTimeout(this.#listen, this.#silenceMs);
  }

  readonly #listen = (): void => {
    const left = this.#heardAt + this.#silenceMs - performance.now();
    if (left > 0) this.#timer = setTimeout(this.#listen, left);
    else this.#broke("The WebSocket fell silent", { timedOut: true });
  };

  #take(data: unknown): void {
    this.#expect();
    let frame: Frame;
    try {
      frame = JSON.parse(String(data)) as Frame;
    } catch {
      this.#broke("The WebSocket does not speak JSON");
      return;
    }
    if (isLiveFrame(frame)) {
      const event = this.#parts.whole(frame);
      if (event) this.#inbox.push(event);
    } else if (frame.type === "hello") this.#greeted(frame);
    else if (frame.type === "reply" && frame.ref === REF) this.#answered(frame);
    else if (frame.type === "error") this.#inbox.end(refusal(frame));
  }

  #answered(frame: Frame): void {
    if (frame.ok === false) this.#inbox.end(refusal(frame));
    else this.#watched.onOpen?.();
  }

  #greeted({ seq = 0, heartbeat_seconds = 5 }: Frame): void {
    this.#isGreeted = true;
    this.#silenceMs = Math.max(GREETING_MS, heartbeat_seconds * 1000 * PATIENCE);
    this.#expect();
    const { ids, since } = this.#watched;
    // A number the server has not reached is another server's.
    const from = since !== undefined && since <= seq ? { since } : {};
    this.#socket.send(JSON.stringify({ type: "subscribe", ref: REF, ...(ids && { ids }), ...from }));
  }
}

function refusal({ error }: Frame): ModelhaulError {
  return errorOf(
    error?.type === "not_found_error" ? 404 : error?.type === "server_error" ? 500 : 400,
    { error },
    null,
  );
}
