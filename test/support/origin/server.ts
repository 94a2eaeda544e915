import type { Socket, TCPSocketListener } from "bun";
import { type Answer, newAnswer } from "./answer.ts";
import { Connection, Gone } from "./connection.ts";
import { applyToAnswer, applyToView, type Fault } from "./faults.ts";
import { Log, type LoggedRequest, type Outcome } from "./log.ts";
import { Bucket } from "./pace.ts";
import { MalformedRequest, type WireRequest } from "./request.ts";
import { honestAnswer, type Resource, viewOf } from "./resource.ts";
import { ActiveRule, type Match, type Rule } from "./rules.ts";
import { send } from "./send.ts";
import { Signer } from "./sign.ts";

/** Limits of a whole origin; all may change while it runs. Bytes per second. */
export interface Limits {
  ratePerConnection?: number;
  rateTotal?: number;
  latencyMs?: number;
  /** Requests answered at one time; the next is turned away as `overflow` says (F71). */
  maxParallel?: number;
  /** A status, or a TCP reset. Default 503. */
  overflow?: number | "reset";
}

/** An answer made by code: a literal one, or content under a path, which then gets ranges, validators and faults. */
export type Reply =
  | {
      status: number;
      headers?: [name: string, value: string][];
      body?: string | Uint8Array;
      chunked?: boolean;
    }
  | { resource: Resource };

/** Asked first; undefined leaves the request to the declared resources. */
export type Handler = (request: WireRequest) => Reply | undefined;

export interface Listening {
  hosts: readonly string[];
  port: number;
  tls: { key: string; cert: string } | undefined;
}

/** A free port on the first address may be taken on the second. */
const PORT_TRIES = 5;

interface Peer {
  connection: Connection;
  bucket: Bucket;
}

/** The accepting side: sockets in, answers out. */
export class OriginServer {
  readonly log = new Log();
  readonly signer = new Signer();
  readonly resources = new Map<string, Resource>();
  readonly limits: Limits;
  port = 0;
  private readonly rules: ActiveRule[] = [];
  private readonly peers = new Set<Connection>();
  private readonly total = new Bucket(() => this.limits.rateTotal);
  private listeners: TCPSocketListener<Peer>[] = [];

  constructor(
    private readonly listening: Listening,
    limits: Limits,
    private readonly handler: Handler | undefined,
  ) {
    this.limits = limits;
    this.port = listening.port;
  }

  /** Listens on every host, all on one port; on the same one when called again. Throws when it cannot be bound. */
  listen(): void {
    const wanted = this.port;
    for (let tries = wanted === 0 ? PORT_TRIES : 1; ; tries--) {
      try {
        for (const hostname of this.listening.hosts) this.listenOn(hostname);
        return;
      } catch (error) {
        this.close();
        if (tries <= 1) throw error;
        this.port = wanted;
      }
    }
  }

  private listenOn(hostname: string): void {
    const { tls } = this.listening;
    const listener = Bun.listen<Peer>({
      hostname,
      port: this.port,
      ...(tls ? { tls } : {}),
      socket: {
        open: (socket) => this.accept(socket),
        data: (socket, chunk) => socket.data.connection.onData(chunk),
        drain: (socket) => socket.data?.connection.onDrain(),
        close: (socket) => this.forget(socket),
        error: (socket) => socket.data?.connection.onClose(),
      },
    });
    this.port = listener.port;
    this.listeners.push(listener);
  }

  /** Stops accepting and breaks what is open. `listen` takes the same port again. */
  close(): void {
    for (const listener of this.listeners) listener.stop(false);
    this.listeners = [];
    for (const connection of [...this.peers]) connection.terminate();
  }

  addRule(match: Match, faults: readonly Fault[]): Rule {
    const rule = new ActiveRule(match, faults, (it) => {
      const at = this.rules.indexOf(it);
      if (at >= 0) this.rules.splice(at, 1);
    });
    this.rules.push(rule);
    return rule;
  }

  clearRules(): void {
    for (const rule of this.rules.splice(0)) rule.release();
  }

  private accept(socket: Socket<Peer>): void {
    this.log.opened();
    const connection = new Connection(this.log.stats.connections, socket);
    socket.data = { connection, bucket: new Bucket(() => this.limits.ratePerConnection) };
    this.peers.add(connection);
    void this.serve(socket.data);
  }

  private forget(socket: Socket<Peer>): void {
    if (!socket.data || !this.peers.delete(socket.data.connection)) return;
    socket.data.connection.onClose();
    this.log.closed();
  }

  /** Answers one request after the other until either side has had enough. */
  private async serve(peer: Peer): Promise<void> {
    const { connection } = peer;
    try {
      for (;;) {
        const request = await connection.next();
        if (!request || !(await this.exchange(peer, request))) return;
      }
    } catch (error) {
      if (!(error instanceof MalformedRequest)) throw error;
      connection.socket.write(`HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      connection.finish();
    }
  }

  /** True when the connection may carry another request. */
  private async exchange({ connection, bucket }: Peer, request: WireRequest): Promise<boolean> {
    const entry = this.log.begin(request, connection.id);
    let outcome: Outcome = "gone";
    try {
      const answer = this.answerTo(request, connection, entry);
      const result = await send(answer, { connection, entry, log: this.log, buckets: [bucket, this.total] });
      outcome = result.outcome;
      return result.reusable;
    } catch (error) {
      if (error instanceof Gone) return false;
      connection.terminate();
      throw error;
    } finally {
      this.log.end(entry, outcome);
    }
  }

  private answerTo(request: WireRequest, connection: Connection, entry: LoggedRequest): Answer {
    const taking = this.rules.filter((rule) => rule.takes(request, connection.id, connection.served > 1));
    let answer = this.refusal() ?? this.plainAnswer(request, connection, taking);
    answer.latencyMs = this.limits.latencyMs ?? 0;
    for (const rule of taking) {
      const hold = (resume: () => void): (() => void) => rule.hold(resume);
      answer = applyToAnswer(rule.faults, answer, { request, hold });
    }
    if (request.method === "HEAD") answer.headOnly = true;
    if (wantsClose(request) && answer.afterwards === "keep") answer.afterwards = "close";
    entry.status = 0;
    return answer;
  }

  private refusal(): Answer | undefined {
    const { maxParallel = Number.POSITIVE_INFINITY, overflow = 503 } = this.limits;
    if (this.log.stats.active <= maxParallel) return undefined;
    const answer = newAnswer(overflow === "reset" ? 503 : overflow, [], "too many connections\n");
    if (overflow === "reset") {
      answer.stops.push({ action: "reset", at: "start", ofConnection: false, onRelease: () => () => {} });
    }
    return answer;
  }

  private plainAnswer(request: WireRequest, connection: Connection, rules: readonly ActiveRule[]): Answer {
    const reply = this.handler?.(request);
    if (reply && "status" in reply) return literalAnswer(reply);
    const resource = reply?.resource ?? this.resources.get(request.path);
    if (!resource) return newAnswer(404, [["Content-Type", "text/plain"]], "not found\n");
    if (resource.signed && !this.signer.opens(request.path, request.query)) {
      return newAnswer(resource.expiredStatus ?? 403, [["Content-Type", "application/xml"]], ACCESS_DENIED);
    }
    const view = viewOf(resource, connection.id);
    for (const rule of rules) applyToView(rule.faults, view);
    return honestAnswer(request, view);
  }
}

/** What an object store says of a link that has expired. */
export const ACCESS_DENIED =
  '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Access denied</Message></Error>\n';

function literalAnswer({
  status,
  headers = [],
  body = "",
  chunked,
}: Extract<Reply, { status: number }>): Answer {
  const answer = newAnswer(status, [...headers], body);
  if (chunked) answer.framing = "chunked";
  return answer;
}

function wantsClose(request: WireRequest): boolean {
  const connection = (request.headers.connection ?? "").toLowerCase();
  return (
    connection.includes("close") || (request.version === "HTTP/1.0" && !connection.includes("keep-alive"))
  );
}
