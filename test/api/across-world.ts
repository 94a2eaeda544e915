import type { State } from "../../src/core/download.ts";
import { LiveSocket } from "../support/live.ts";
import { EventClient } from "./event-client.ts";
import type { Body } from "./support.ts";
import { type Kept, query } from "./wingman-world.ts";

/** A download under way, and what each family knows it by. */
export interface Subject {
  kept: Kept;
  id: string;
  modelId: string;
  repo: string;
  /** Empty for a whole repository: then it has no progress file, and `/api/download` cannot name it (A24). */
  file: string;
}

/** How one family shows it. */
export interface View {
  word: string;
  /** Null where the family cannot know yet: abstractcore's `starting`. */
  state: State | null;
  bytes: number | null;
  percent: number | null;
  error: string | null;
}

/** The columns of REQUIREMENTS A4. */
export type Column = "kolosal" | "local" | "file" | "view" | "abstractcore";

/** REQUIREMENTS A4, as it stands there. */
export const A4: Record<State, Record<Column, string>> = {
  queued: {
    kolosal: "downloading",
    local: "pending",
    file: "queued",
    view: "queued",
    abstractcore: "starting",
  },
  downloading: {
    kolosal: "downloading",
    local: "downloading",
    file: "in-progress",
    view: "downloading",
    abstractcore: "downloading",
  },
  paused: {
    kolosal: "paused",
    local: "pending",
    file: "queued",
    view: "queued",
    abstractcore: "downloading",
  },
  verifying: {
    kolosal: "downloading",
    local: "downloading",
    file: "in-progress",
    view: "downloading",
    abstractcore: "verifying",
  },
  creating_engine: {
    kolosal: "creating_engine",
    local: "downloading",
    file: "in-progress",
    view: "downloading",
    abstractcore: "verifying",
  },
  completed: {
    kolosal: "completed",
    local: "completed",
    file: "done",
    view: "done",
    abstractcore: "complete",
  },
  failed: { kolosal: "failed", local: "failed", file: "failed", view: "failed", abstractcore: "error" },
  cancelled: {
    kolosal: "cancelled",
    local: "cancelled",
    file: "failed",
    view: "failed",
    abstractcore: "error",
  },
};

interface Place {
  name: string;
  column: Column;
}

export interface Answering extends Place {
  /** Undefined where it is not shown. */
  look(subject: Subject): Promise<View | undefined>;
}

export interface Streaming extends Place {
  open(subject: Subject): Promise<EventClient>;
  /** What one event says of the download; undefined when it is about something else. */
  read(data: Body, subject: Subject): View | undefined;
}

const kolosal = (one: Body): View => ({
  word: one.status,
  state: one.state,
  bytes: one.progress.downloaded_bytes,
  percent: one.progress.percentage,
  error: one.error_message ?? null,
});

const local = (one: Body): View => ({
  word: one.status,
  state: one.state,
  bytes: one.bytes_downloaded,
  percent: one.progress_percent,
  error: one.error_message,
});

const wingman = (one: Body): View => ({
  word: one.status,
  state: one.state ?? null,
  bytes: one.downloaded_bytes ?? null,
  percent: one.progress,
  error: one.error,
});

const abstractcore = (one: Body): View => ({
  word: one.status,
  state: one.state,
  bytes: one.downloaded_bytes,
  // It never falls (A25), not even with the bytes that a cancelled download gives back.
  percent: one.status === "error" ? null : one.percent,
  error: one.status === "error" ? one.message : null,
});

const body = async ({ kept }: Subject, path: string, headers: Record<string, string> = {}): Promise<Body> =>
  (await kept.call("GET", path, undefined, headers)).body;
const one = (path: string) => async (subject: Subject) =>
  kolosal(await body(subject, path + encodeURIComponent(subject.modelId)));
const among = (all: Body[], { id }: Subject): Body => all.find((it) => it.id === id);
const pair = ({ repo, file }: Subject): string => query(repo, file);
const byRepo = ({ repo }: Subject): string => `?ModelRepo=${encodeURIComponent(repo)}`;

/** The same over a WebSocket: the snapshot that a subscriber gets. */
async function overSocket(subject: Subject): Promise<View> {
  using socket = new LiveSocket(new WebSocket(`${subject.kept.base.replace("http", "ws")}/v1/ws`));
  await socket.next(({ type }) => type === "hello");
  socket.send({ type: "subscribe", ids: [subject.id] });
  const { downloads } = await socket.next(({ type }) => type === "snapshot");
  return kolosal(among(downloads, subject));
}

export const ANSWERING: Answering[] = [
  {
    name: "GET /downloads",
    column: "kolosal",
    look: async (subject) => kolosal(among((await body(subject, "/downloads")).active_downloads, subject)),
  },
  { name: "GET /v1/downloads/{id}", column: "kolosal", look: one("/v1/downloads/") },
  { name: "GET /download-progress/{id}", column: "kolosal", look: one("/download-progress/") },
  { name: "WebSocket /v1/ws", column: "kolosal", look: overSocket },
  {
    name: "GET /api/progress as JSON",
    column: "view",
    look: async (subject) => wingman(among(await body(subject, `/api/progress${byRepo(subject)}`), subject)),
  },
  {
    name: "GET /api/download",
    column: "file",
    async look(subject) {
      if (subject.file === "") return undefined;
      const shown = await body(subject, `/api/download${pair(subject)}`);
      return shown.id === subject.id ? wingman(shown) : undefined;
    },
  },
  {
    name: "progress file",
    column: "file",
    async look({ kept, repo, file }) {
      const text = await kept.text(repo, file);
      return text === undefined ? undefined : wingman(JSON.parse(text));
    },
  },
];

const open = ({ kept }: Subject, path: string, headers: Record<string, string> = {}) =>
  EventClient.open(kept.base + path, { Accept: "text/event-stream", ...headers });

const native = (data: Body, subject: Subject): View | undefined => {
  const found = among(data.downloads ?? [data.download ?? {}], subject);
  return found && kolosal(found);
};

export const STREAMING: Streaming[] = [
  { name: "GET /v1/events", column: "kolosal", open: (s) => open(s, "/v1/events"), read: native },
  {
    name: "GET /v1/downloads/{id}/events",
    column: "kolosal",
    open: (s) => open(s, `/v1/downloads/${s.id}/events`),
    read: native,
  },
  {
    name: "GET /local/download/status",
    column: "local",
    open: (s) => open(s, "/local/download/status"),
    read: (data, { id }) => (data.download_id === id ? local(data) : undefined),
  },
  {
    name: "GET /api/progress",
    column: "view",
    open: (s) => open(s, `/api/progress${s.file === "" ? byRepo(s) : pair(s)}`),
    read: (data, { id }) => (data.id === id ? wingman(data) : undefined),
  },
  {
    name: "GET /api/models/download",
    column: "abstractcore",
    // As a listener comes back after a break: whatever the download is, it is that one and starts nothing.
    open: (s) =>
      open(s, `/api/models/download?provider=huggingface&model=${s.repo}`, { "Last-Event-ID": `${s.id}/` }),
    read: (data, { id }) =>
      data.status === "starting" || data.id === id || data.status === "error"
        ? abstractcore(data)
        : undefined,
  },
];

/** A stream kept open; `latest` is what its last event about the download says. */
export class Watcher {
  private constructor(
    readonly place: Streaming,
    readonly client: EventClient,
    readonly subject: Subject,
  ) {}

  static async of(place: Streaming, subject: Subject): Promise<Watcher> {
    return new Watcher(place, await place.open(subject), subject);
  }

  get latest(): View | undefined {
    const views = this.client.messages.map(({ data }) => this.place.read(data, this.subject));
    return views.findLast((view) => view !== undefined);
  }

  /** Its view once the last event is about this state. Abstractcore's `starting` is told before there is a state. */
  async shows(state: State): Promise<View> {
    const fits = (): boolean => {
      const view = this.latest;
      return view?.state === state || (state === "queued" && view !== undefined && view.state === null);
    };
    try {
      await this.client.waitFor(fits, 20_000);
    } catch (error) {
      throw new Error(`${this.place.name} does not show ${state}: ${error}`);
    }
    return this.latest as View;
  }
}
