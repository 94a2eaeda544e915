import type { Server, ServerWebSocket } from "bun";
import { type AnyElysia, Elysia } from "elysia";
import type { Downloads } from "../core/downloads.ts";
import type { DownloadError } from "../core/errors.ts";
import type { Clock, Log } from "../core/ports.ts";
import type { Broadcast } from "./broadcast.ts";
import type { Guard } from "./guard.ts";
import type { Problem } from "./problem.ts";
import type { ProgressFiles } from "./wingman/files.ts";

/** Who asks, as the guard found out. `owner` names the session a stream ends with. */
export interface Access {
  by: "open" | "key" | "session" | "ticket" | "exempt";
  owner: string | null;
}

/** What a handler may need of the connection behind its request. */
export interface Exchange {
  /** The request as it came, which alone can be upgraded; what a handler gets may be a copy. */
  received: Request;
  server: Server<SocketData>;
  access: Access;
  /** Parsed JSON body; undefined when there was none. */
  body: unknown;
  /** Address of the peer. */
  source: string;
  /** Ends the connection within seconds, whatever the other side still has to take. */
  expire(): void;
}

/** State of one WebSocket; `open` is called once the upgrade is done. */
export interface SocketData {
  open(socket: ServerWebSocket<SocketData>): void;
  message(text: string | Buffer): void;
  drain(): void;
  close(): void;
}

/** What every family is made with. */
export interface ApiContext {
  downloads: Downloads;
  clock: Clock;
  log: Log;
  version: string;
  guard: Guard;
  broadcast: Broadcast;
  /** Kept by whoever opened the downloads; not there where nobody reads such files. */
  progress?: ProgressFiles | undefined;
  exchange(request: Request): Exchange;
}

/** One tongue: its routes and how it speaks errors. */
export interface Family {
  readonly name: string;
  /** Paths that are its own, with everything below them: errors there are spoken in its shape. */
  readonly prefixes: readonly string[];
  readonly routes: AnyElysia;
  /** Answer for a request that cannot be served. `path` is still percent-encoded. */
  refuse(reason: Problem | DownloadError, path: string): Response;
  /** Lets go of what it watches. */
  close?(): void;
}

/**
 * A router for a family's routes. Strict paths: `DELETE /downloads/` with an empty id must never reach
 * `DELETE /downloads`, which cancels everything. Nothing is coerced or cleaned: handlers pick the fields they know.
 */
export function newRoutes() {
  return new Elysia({ strictPath: true, normalize: false });
}
