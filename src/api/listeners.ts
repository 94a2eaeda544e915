import type { Server } from "bun";
import type { Log } from "../core/ports.ts";
import type { SocketData } from "./family.ts";
import { isLoopback, type Listening } from "./hosts.ts";
import { FRAME_LIMIT } from "./socket.ts";

type Fetch = (request: Request, server: Server<SocketData>) => Promise<Response>;

/** A listener to bind: port 0 lets the system choose; an optional one may fail. */
export interface Wanted {
  /** IP address, IPv6 without brackets, or a name. */
  host: string;
  port: number;
  optional?: boolean;
}

/**
 * Seconds between two requests on one connection; `Dispatcher` has those for bodies. For a request's head Bun 1.4 gives
 * some 12 s whatever is set here, also when a byte comes now and then (F227).
 */
export const IDLE_SECONDS = 30;
/** Bun's own limit resets the connection before anything is answered: ours is in `readJson` (DESIGN §6). */
const NO_LIMIT = 2 ** 40;
/** Buffered bytes of one socket after which Bun closes it; a snapshot under way may exceed it. */
const SOCKET_BUFFER = 1024 * 1024;
const STOP_MS = 1000;

/** The servers of this process: all listeners share one handler. */
export class Listeners {
  readonly #servers: Server<SocketData>[] = [];
  readonly #log: Log;
  readonly #idleSeconds: number;

  constructor(log: Log, idleSeconds: number) {
    this.#log = log;
    this.#idleSeconds = idleSeconds;
  }

  /** What is bound now, with real ports. */
  get bound(): Listening[] {
    return this.#servers.map(({ hostname, port }) => ({ hostname: hostname ?? "", port: port ?? 0 }));
  }

  /** Binds all or none; an optional one that cannot be bound is left out. Throws with the address in the message. */
  start(wanted: readonly Wanted[], mayBeExposed: boolean, fetch: Fetch): Listening[] {
    const exposed = wanted.find(({ host }) => !isLoopback(host));
    if (exposed && !mayBeExposed)
      throw new Error(
        `Listening on ${exposed.host} lets other machines in: that takes an API key, or --no-auth`,
      );
    try {
      for (const one of wanted) this.#bind(one, fetch);
    } catch (error) {
      for (const server of this.#servers.splice(0)) void server.stop(true);
      throw error;
    }
    return this.bound;
  }

  /** Lets answers under way finish for a moment, then closes every connection. */
  async stop(): Promise<void> {
    const servers = this.#servers.splice(0);
    const idle = Promise.all(servers.map((server) => server.stop()));
    const late = Promise.withResolvers<unknown>();
    // One that is left running would hold up the end of the process.
    const timer = setTimeout(late.resolve, STOP_MS);
    await Promise.race([idle, late.promise]);
    clearTimeout(timer);
    await Promise.all(servers.map((server) => server.stop(true)));
  }

  #bind({ host, port, optional }: Wanted, fetch: Fetch): void {
    try {
      this.#servers.push(serve(host, port, this.#idleSeconds, fetch));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const message = `Cannot listen on ${host} port ${port}: ${reason}`;
      if (!optional) throw new Error(message, { cause: error });
      this.#log.warn(message);
    }
  }
}

function serve(hostname: string, port: number, idleTimeout: number, fetch: Fetch): Server<SocketData> {
  return Bun.serve<SocketData>({
    hostname,
    port,
    idleTimeout,
    maxRequestBodySize: NO_LIMIT,
    development: false,
    // Without development mode Bun 1.4.4 shares a port with whoever has it already, unless told so.
    reusePort: false,
    fetch,
    websocket: {
      open: (socket) => socket.data.open(socket),
      message: (socket, data) => socket.data.message(data),
      drain: (socket) => socket.data.drain(),
      close: (socket) => socket.data.close(),
      maxPayloadLength: FRAME_LIMIT,
      backpressureLimit: SOCKET_BUFFER,
      closeOnBackpressureLimit: true,
      perMessageDeflate: false,
      sendPings: true,
      idleTimeout: 60,
    },
  });
}
