import type { Server, ServerWebSocket } from "bun";
import type { Log } from "../core/ports.ts";
import type { SocketData } from "./family.ts";
import { isLoopback, type Listening } from "./hosts.ts";
import { Reserve } from "./reserve.ts";
import { FRAME_LIMIT } from "./socket.ts";
import { forOwnerOnly } from "./unix-socket.ts";

type Fetch = (request: Request, server: Server<SocketData>) => Promise<Response>;

/** A listener to bind: port 0 lets the system choose; an optional one may fail. */
export interface Wanted {
  /** IP address, IPv6 without brackets, or a name. */
  host: string;
  port: number;
  optional?: boolean;
}

/** Everything to bind. */
export interface Places {
  wanted: readonly Wanted[];
  /** Path of a Unix socket, vacated. */
  socket: string | null;
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
/** How often it is looked whether descriptors are left. */
const LOOK_MS = 500;

/** The servers of this process: all listeners share one handler. */
export class Listeners {
  readonly #servers: Server<SocketData>[] = [];
  /** They accept nobody any more, and serve those who were there. */
  readonly #retired = new Set<Server<SocketData>>();
  readonly #log: Log;
  readonly #idleSeconds: number;
  /** What is bound, also while nobody is accepted. */
  #bound: Listening[] = [];
  /** The Unix socket beside them. */
  #socket: string | null = null;
  #reserve: Reserve | undefined;
  #timer: Timer | undefined;

  constructor(log: Log, idleSeconds: number) {
    this.#log = log;
    this.#idleSeconds = idleSeconds;
  }

  /** What is bound now, with real ports. */
  get bound(): Listening[] {
    return this.#bound;
  }

  /** Binds all or none; an optional one that cannot be bound is left out. Throws with the address in the message. */
  start({ wanted, socket }: Places, mayBeExposed: boolean, fetch: Fetch): Listening[] {
    const exposed = wanted.find(({ host }) => !isLoopback(host));
    if (exposed && !mayBeExposed)
      throw new Error(
        `Listening on ${exposed.host} lets other machines in: that takes an API key, or --no-auth`,
      );
    try {
      for (const one of wanted) this.#bind(one, fetch);
      this.#bound = this.#servers.map(({ hostname, port }) => ({
        hostname: hostname ?? "",
        port: port ?? 0,
      }));
      this.#socket = socket;
      if (socket !== null) this.#servers.push(this.#openSocket(socket, fetch));
    } catch (error) {
      this.#bound = [];
      this.#socket = null;
      for (const server of this.#servers.splice(0)) void server.stop(true);
      throw error;
    }
    this.#reserve = new Reserve();
    this.#timer = setInterval(() => this.#look(fetch), LOOK_MS);
    this.#timer.unref();
    return this.bound;
  }

  /**
   * With no descriptor left a listener can neither accept nor refuse: it would only keep a core busy. So it is closed,
   * and what was kept back is there for the downloads (F113).
   */
  #look(fetch: Fetch): void {
    const reserve = this.#reserve;
    if (reserve === undefined) return;
    if (this.#servers.length > 0 && reserve.isAllThatIsLeft) {
      for (const server of this.#servers.splice(0)) this.#retire(server);
      reserve.release();
      this.#log.warn(
        "No file descriptor is left: new clients are refused until some are free. Raise the limit of open files (ulimit -n, or LimitNOFILE= of a systemd unit).",
      );
    } else if (this.#servers.length === 0 && reserve.regain()) this.#acceptAgain(fetch, reserve);
  }

  #retire(server: Server<SocketData>): void {
    this.#retired.add(server);
    void server.stop().then(() => this.#retired.delete(server));
  }

  #acceptAgain(fetch: Fetch, reserve: Reserve): void {
    try {
      for (const { hostname, port } of this.#bound)
        this.#servers.push(serve({ hostname, port }, this.#idleSeconds, fetch));
      if (this.#socket !== null) this.#servers.push(this.#openSocket(this.#socket, fetch));
      this.#log.info("New clients are accepted again.");
    } catch (error) {
      // Tried again with the next look.
      for (const server of this.#servers.splice(0)) void server.stop(true);
      reserve.release();
      this.#log.warn("Cannot listen again yet.", { error: String(error) });
    }
  }

  /** Lets answers under way finish for a moment, then closes every connection. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#reserve?.release();
    this.#reserve = undefined;
    const servers = [...this.#servers.splice(0), ...this.#retired];
    this.#retired.clear();
    this.#bound = [];
    this.#socket = null;
    const idle = Promise.all(servers.map((server) => server.stop()));
    const late = Promise.withResolvers<unknown>();
    // One that is left running would hold up the end of the process.
    const timer = setTimeout(late.resolve, STOP_MS);
    await Promise.race([idle, late.promise]);
    clearTimeout(timer);
    await Promise.all(servers.map((server) => server.stop(true)));
  }

  #openSocket(unix: string, fetch: Fetch): Server<SocketData> {
    try {
      return forOwnerOnly(unix, () => serve({ unix }, this.#idleSeconds, fetch));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`Cannot listen on the Unix socket ${unix}: ${reason}`, { cause: error });
    }
  }

  #bind({ host, port, optional }: Wanted, fetch: Fetch): void {
    try {
      this.#servers.push(serve({ hostname: host, port }, this.#idleSeconds, fetch));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const message = `Cannot listen on ${host} port ${port}: ${reason}`;
      if (!optional) throw new Error(message, { cause: error });
      this.#log.warn(message);
    }
  }
}

type Where = { hostname: string; port: number } | { unix: string };

function serve(where: Where, idleTimeout: number, fetch: Fetch): Server<SocketData> {
  const common = {
    maxRequestBodySize: NO_LIMIT,
    development: false,
    fetch,
    websocket: {
      open: (socket: ServerWebSocket<SocketData>) => socket.data.open(socket),
      message: (socket: ServerWebSocket<SocketData>, data: string | Buffer) => socket.data.message(data),
      drain: (socket: ServerWebSocket<SocketData>) => socket.data.drain(),
      close: (socket: ServerWebSocket<SocketData>) => socket.data.close(),
      maxPayloadLength: FRAME_LIMIT,
      backpressureLimit: SOCKET_BUFFER,
      closeOnBackpressureLimit: true,
      perMessageDeflate: false,
      sendPings: true,
      idleTimeout: 60,
    },
  };
  // A Unix socket has no idle limit in Bun 1.4.4; behind it is the owner alone, and who has died is gone from there.
  if ("unix" in where) return Bun.serve<SocketData>({ ...common, ...where });
  // Without development mode Bun 1.4.4 shares a port with whoever has it already, unless told so.
  return Bun.serve<SocketData>({ ...common, ...where, idleTimeout, reusePort: false });
}
