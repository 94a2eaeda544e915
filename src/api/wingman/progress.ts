import type { Snapshot } from "../../core/downloads.ts";
import { DownloadError } from "../../core/errors.ts";
import type { ApiContext } from "../family.ts";
import { Problem } from "../problem.ts";
import { json } from "../reply.ts";
import { seatOf } from "../seat.ts";
import { lastEventId } from "../stream.ts";
import { namedForm } from "./accept.ts";
import { isGone, type Pair } from "./pair.ts";
import type { Pairs } from "./pairs.ts";
import { presentView, refusalBody } from "./present.ts";
import { eventText, HEADERS, progressStream } from "./stream.ts";

const PAGE = 500;
const UNKNOWN = "No download of this ModelRepo and FilePath was asked for; ask for it at /api/download";
const JSON_HEADERS = { "Content-Type": "application/json; charset=utf-8" };

/** `GET /api/progress` in its three forms (A13): one state, an array, or a stream. */
export class Progress {
  readonly #context: ApiContext;
  readonly #pairs: Pairs;

  constructor(context: ApiContext, pairs: Pairs) {
    this.#context = context;
    this.#pairs = pairs;
  }

  async answer(request: Request, wanted: Partial<Pair>): Promise<Response> {
    const { repo, file } = wanted;
    const pair = repo !== undefined && file !== undefined ? { repo, file } : undefined;
    const form = namedForm(request.headers.get("accept")) ?? (pair ? "events" : "json");
    const { access } = this.#context.exchange(request);
    if (form === "json" && access.by === "ticket")
      throw new Problem("unauthorized", "A ticket opens streams only: ask for text/event-stream");
    await this.#pairs.ready();
    if (form === "events") return this.#events(request, wanted, pair);
    return pair ? this.#one(pair) : this.#all(request, wanted);
  }

  /** R158. */
  async #one(pair: Pair): Promise<Response> {
    const download = await this.#find(pair);
    if (!download) throw new DownloadError("download_not_found", UNKNOWN);
    return json(presentView(download));
  }

  /** R159, R160: a page is read when the client has taken the one before, whatever the length of the history. */
  async #all(request: Request, wanted: Partial<Pair>): Promise<Response> {
    const pages = this.#pages(wanted)[Symbol.asyncIterator]();
    // What goes wrong at once is still an error and not half an array.
    let page = await pages.next();
    if (request.method === "HEAD") return new Response(null, { headers: JSON_HEADERS });
    let between = "[";
    const stream = new ReadableStream<Uint8Array>({
      async pull(controller) {
        if (page.done) {
          controller.enqueue(Buffer.from(between === "[" ? "[]" : "]"));
          return controller.close();
        }
        const items = page.value.map((download) => JSON.stringify(presentView(download)));
        if (items.length > 0) controller.enqueue(Buffer.from(between + items.join(",")));
        if (items.length > 0) between = ",";
        page = await pages.next();
        if (items.length === 0) return this.pull?.(controller);
      },
      cancel: async () => void (await pages.return?.(undefined)),
    });
    return new Response(stream, { headers: JSON_HEADERS });
  }

  /** R146, R157. */
  #events(request: Request, wanted: Partial<Pair>, pair: Pair | undefined): Response | Promise<Response> {
    if (request.method === "HEAD") return new Response(null, { headers: HEADERS });
    const seen = lastEventId(request);
    const { downloads } = this.#context;
    const base = { ...seatOf(this.#context, request), feed: downloads.feed };
    if (!pair) {
      const { isOver, seq } = this.#pairs.matching(wanted);
      if (isOver && seen !== undefined && seq <= seen) return nothingMore();
      const present = () => this.#pages(wanted);
      const wants = (download: Snapshot) =>
        this.#pairs.isSpeaker(download) && this.#pairs.isAbout(download.id, wanted);
      return progressStream({ ...base, present, wants });
    }
    return this.#find(pair).then((known) => {
      if (!known) return seen === undefined ? unknownPair() : nothingMore();
      const { id, endedAt, seq } = known;
      if (endedAt !== null && seen !== undefined && seq <= seen) return nothingMore();
      const present = async function* (this: Progress) {
        const now = await downloads.find(id);
        yield now ? [now] : [];
      }.bind(this);
      return progressStream({ ...base, present, wants: (download) => download.id === id });
    });
  }

  async #find(pair: Pair): Promise<Snapshot | undefined> {
    const { downloads } = this.#context;
    const id = this.#pairs.find(pair);
    const found = id === undefined ? undefined : await downloads.find(id);
    return found && (await isGone(downloads, found)) ? undefined : found;
  }

  /** All that fits and is not gone, each pair once. */
  async *#pages(wanted: Partial<Pair>): AsyncGenerator<Snapshot[]> {
    const { downloads } = this.#context;
    for await (const page of this.#told(wanted)) {
      const gone = await Promise.all(page.map((download) => isGone(downloads, download)));
      yield page.filter((_, index) => !gone[index]);
    }
  }

  async *#told(wanted: Partial<Pair>): AsyncGenerator<Snapshot[]> {
    const { downloads } = this.#context;
    if (wanted.repo !== undefined || wanted.file !== undefined) {
      const { ids } = this.#pairs.matching(wanted);
      for (let at = 0; at < ids.length; at += PAGE) {
        const found = await Promise.all(ids.slice(at, at + PAGE).map((id) => downloads.find(id)));
        yield found.filter((download) => download !== undefined);
      }
      return;
    }
    for await (const page of downloads.everything())
      yield page.filter((download) => this.#pairs.isSpeaker(download));
  }
}

/** To an EventSource that comes back after the end it has seen: the one answer that keeps it from coming again. */
const nothingMore = (): Response => new Response(null, { status: 204 });

/** A browser's EventSource cannot read a 404 (A5). */
const unknownPair = (): Response => new Response(eventText(0, refusalBody(UNKNOWN)), { headers: HEADERS });
