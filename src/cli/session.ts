/** Where a command's work is done: by our own core on the data folder, or by the daemon that owns it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { digestText, present, presentOne } from "../api/downloads/present.ts";
import { presentDiskFile } from "../api/files.ts";
import type { Config } from "../config.ts";
import { startOrGoOn } from "../core/ensure.ts";
import { DownloadError } from "../core/errors.ts";
import type { FeedEvent } from "../core/feed.ts";
import type { StartRequest } from "../core/ports.ts";
import type { Client } from "./client.ts";
import { clientFor } from "./context.ts";
import type { Watched } from "./follow.ts";
import { toBody } from "./ref.ts";
import type { OpenOptions, Service, Services } from "./service.ts";
import type { WatchEvent, WireDownload, WireFile } from "./wire.ts";

const PAGE = 500;

export interface Verdict {
  /** Null when there was nothing to compare with. */
  matches: boolean | null;
  /** `algorithm:hex` of what is on disk. */
  digest: string;
}

export interface Session extends Watched {
  /** Starts a download, or finds the equal one that is not finished, or has failed half-way, and lets it go on. */
  start(request: StartRequest): Promise<WireDownload>;
  /** The user walks away: partial data is kept, and a later `start` of the same goes on from it. */
  interrupt(ids: readonly string[]): Promise<void>;
  /** Finished files. */
  files(): Promise<WireFile[]>;
  /** Hashes a finished file and compares it with what was promised or computed before. */
  verify(fileId: number): Promise<Verdict>;
  close(): Promise<void>;
}

/** Our own core, without a listener. */
export class LocalSession implements Session {
  readonly service: Service;

  constructor(service: Service) {
    this.service = service;
  }

  async start(request: StartRequest): Promise<WireDownload> {
    const { downloads } = this.service;
    const download = await startOrGoOn(downloads, request);
    const now = download.state === "paused" ? (await downloads.resume(download.id)).download : download;
    // What waits in the queue from another time is not this command's to do.
    downloads.lead(download.id);
    return present(now, Date.now());
  }

  async one(id: string): Promise<WireDownload> {
    const { downloads } = this.service;
    const [download, files] = await Promise.all([downloads.get(id), downloads.files(id)]);
    return presentOne(download, Date.now(), files);
  }

  async *watch(signal: AbortSignal): AsyncGenerator<WatchEvent> {
    const { downloads } = this.service;
    const waiting: FeedEvent[] = [];
    let wake = Promise.withResolvers<void>();
    const ring = (): void => wake.resolve();
    const unsubscribe = downloads.feed.subscribe((event) => {
      waiting.push(event);
      ring();
    });
    signal.addEventListener("abort", ring);
    try {
      const active = await downloads.active();
      yield { type: "snapshot", more: false, downloads: active.map((one) => present(one, Date.now())) };
      while (!signal.aborted) {
        for (const event of waiting.splice(0)) yield told(event);
        await wake.promise;
        wake = Promise.withResolvers<void>();
      }
    } finally {
      signal.removeEventListener("abort", ring);
      unsubscribe();
    }
  }

  /** Paused, so that a later command for something else does not go on with these. */
  async interrupt(ids: readonly string[]): Promise<void> {
    await Promise.allSettled(ids.map((id) => this.service.downloads.pause(id)));
  }

  async files(): Promise<WireFile[]> {
    const found: WireFile[] = [];
    let cursor: string | null | undefined;
    do {
      const page = await this.service.downloads.disk.list({ limit: PAGE, ...(cursor ? { cursor } : {}) });
      found.push(...page.items.map(presentDiskFile));
      cursor = page.nextCursor;
    } while (cursor);
    return found;
  }

  async verify(fileId: number): Promise<Verdict> {
    const { matches, digest } = await this.service.downloads.disk.verify(fileId);
    return { matches, digest: digestText(digest) };
  }

  close(): Promise<void> {
    return this.service.stop();
  }
}

function told(event: FeedEvent): WatchEvent {
  if (event.type === "removed") return { type: "removed", id: event.id };
  const { download, previousState } = event;
  return { type: "download", previousState, download: present(download, Date.now()) };
}

/** A daemon. It goes on when the command ends. */
export class RemoteSession implements Session {
  readonly client: Client;

  constructor(client: Client) {
    this.client = client;
  }

  async start(request: StartRequest): Promise<WireDownload> {
    const download = await this.client.start(toBody(request));
    if (download.state === "paused") await this.client.control(download.id, "resume");
    return download;
  }

  one(id: string): Promise<WireDownload> {
    return this.client.one(id);
  }

  watch(signal: AbortSignal): AsyncGenerator<WatchEvent> {
    return this.client.watch(signal);
  }

  async interrupt(): Promise<void> {}

  files(): Promise<WireFile[]> {
    return this.client.files();
  }

  verify(fileId: number): Promise<Verdict> {
    return this.client.verify(fileId);
  }

  async close(): Promise<void> {}
}

/** What `serve` leaves in the data folder for other commands. */
export interface DaemonNote {
  urls: string[];
  pid: number;
}

export const notePath = (config: Config): string => join(config.dataDir, "server.json");

/** Our own core, or when a daemon owns the data folder that daemon. Throws `locked` when it is another command. */
export async function openSession(
  config: Config,
  services: Services,
  options: OpenOptions,
): Promise<LocalSession | RemoteSession> {
  try {
    return new LocalSession(await services.openService(config, options));
  } catch (error) {
    if (!(error instanceof DownloadError) || error.code !== "locked") throw error;
    const server = daemonOf(config);
    if (server === undefined) throw error;
    return new RemoteSession(clientFor(services, config, server));
  }
}

/** Base URL of the daemon that owns the data folder, if there is one alive. */
function daemonOf(config: Config): string | undefined {
  let note: DaemonNote;
  try {
    note = JSON.parse(readFileSync(notePath(config), "utf8"));
  } catch {
    return undefined;
  }
  // Listening on every address, it can be reached on loopback.
  const url = note.urls[0]?.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:");
  return isAlive(note.pid) ? url : undefined;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // Another user's process may not be signalled, but it is there.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
