import { Type } from "@sinclair/typebox";
import { isFinished } from "../core/download.ts";
import { ensure } from "../core/ensure.ts";
import { type DownloadError, toDownloadError } from "../core/errors.ts";
import type { FeedEvent, Snapshot } from "../core/feed.ts";
import { Narration } from "./abstractcore/narration.ts";
import { errorText } from "./abstractcore/providers.ts";
import { askedFor, DownloadQuery, startRequest } from "./abstractcore/request.ts";
import {
  eventText,
  headOnly,
  noMore,
  progressStream,
  type Resumed,
  readEventId,
  STREAM_TYPE,
  type Subject,
} from "./abstractcore/stream.ts";
import { operation } from "./doc.ts";
import { type ApiContext, type Family, newRoutes } from "./family.ts";
import { Problem } from "./problem.ts";
import { text } from "./reply.ts";
import { seatOf } from "./seat.ts";
import { STATUS } from "./status.ts";

const EXAMPLE = [
  {
    status: "starting",
    message: "Pulling llama3:8b from Ollama...",
    percent: null,
    downloaded_bytes: null,
    total_bytes: null,
  },
  {
    status: "downloading",
    message: "downloading digestname",
    percent: 45.2,
    downloaded_bytes: 523456789,
    total_bytes: 1157890123,
  },
  {
    status: "complete",
    message: "Successfully pulled llama3:8b",
    percent: 100,
    downloaded_bytes: 1157890123,
    total_bytes: 1157890123,
  },
  { done: true },
];

const refusal = {
  type: "text/event-stream",
  schema: Type.String(),
  example: eventText({ error: "'model' must be text of 1 to 512 characters" }),
};

/** The abstractcore family: one route that starts or joins a download and tells its progress (R165-R186c). */
export function abstractcoreFamily(context: ApiContext): Family {
  const routes = newRoutes().get(
    "/api/models/download",
    ({ query, request }) => {
      const resumed = readEventId(request.headers.get("last-event-id"));
      if (request.method === "HEAD") return headOnly();
      if (resumed?.isOver) return noMore();
      const subject = subjectOf(context, query, request.headers.get("x-hub-token"), resumed);
      return progressStream(subject, seatOf(context, request));
    },
    {
      query: DownloadQuery,
      ...operation({
        id: "downloadModel",
        tag: "abstractcore",
        summary: "Download a model and watch it, as server-sent events",
        description:
          "Starts the download, joins the one under way, or says at once that it is complete. Unnamed events: progress " +
          "{status, message, percent, downloaded_bytes, total_bytes, …} from `starting` to `complete` or `error`, then " +
          'one {"done":true} or {"error":"…"}, then the end. Closing the stream does not stop the download. The hub\'s ' +
          "token may also come in the header X-Hub-Token.",
        answers: {
          200: {
            description: "The stream; errors of the download itself come in it",
            type: "text/event-stream",
            schema: Type.String(),
            example: EXAMPLE.map(eventText).join(""),
          },
          204: {
            description: "An EventSource that has seen the end came back by itself: nothing is started",
          },
        },
        errors: [503],
        refusal,
      }),
    },
  );
  return { name: "abstractcore", prefixes: ["/api/models"], routes, refuse };
}

/** A5: this family has one shape for errors, an event, whatever the status. */
function refuse(reason: Problem | DownloadError): Response {
  const isOurs = reason instanceof Problem;
  const status = isOurs ? reason.status : STATUS[reason.code];
  const message = reason.code === "internal" ? "The server failed unexpectedly" : reason.message;
  const answer = text(eventText({ error: message }), STREAM_TYPE, status);
  for (const [name, value] of Object.entries(isOurs ? reason.headers : {})) answer.headers.set(name, value);
  return answer;
}

function subjectOf(
  { downloads, log }: ApiContext,
  query: DownloadQuery,
  hubToken: string | null,
  resumed: Extract<Resumed, { isOver: false }> | undefined,
): Subject {
  const asked = askedFor(query);
  const narration = new Narration(asked, resumed?.percent);

  /** Id of the download to tell of. Who comes back after a break starts nothing, whatever has become of it. */
  const find = async (): Promise<string> => {
    const known = resumed && (await downloads.find(resumed.id));
    if (known) return known.id;
    const request = startRequest(
      query,
      hubToken,
      downloads.sources().map(({ name }) => name),
    );
    const { download, wasComplete } = await ensure(downloads, downloads.keyOf(request), request);
    if (wasComplete) narration.expectNothingNew();
    return download.id;
  };

  return {
    narration,
    async begin(tell, lost) {
      const early: FeedEvent[] = [];
      let take = (event: FeedEvent): void => void early.push(event);
      const unsubscribe = downloads.feed.subscribe((event) => take(event));
      try {
        const id = await find();
        let newest: Snapshot | undefined;
        const follow = (event: FeedEvent): void => {
          if (event.type === "removed") {
            if (event.id === id) lost();
          } else if (event.download.id === id && event.download.seq >= (newest?.seq ?? 0)) {
            newest = event.download;
            tell(newest);
          }
        };
        for (const event of sinceLastEnd(early, id)) follow(event);
        take = follow;
        const now = await downloads.find(id);
        if (!now) lost();
        else if (newest === undefined || now.seq > newest.seq) tell(now);
        return unsubscribe;
      } catch (error) {
        unsubscribe();
        throw error;
      }
    },
    explain(error) {
      const known = toDownloadError(error);
      if (known.code === "internal")
        log.error("A model download could not be started", { error: known.message });
      return errorText(asked, known);
    },
  };
}

/** What happened to this download meanwhile: an end that was followed by a new try is no longer its end. */
function sinceLastEnd(events: readonly FeedEvent[], id: string): FeedEvent[] {
  const own = events.filter((event) => event.type === "download" && event.download.id === id);
  const isEnd = (event: FeedEvent) => event.type === "download" && isFinished(event.download.state);
  return own.slice(own.slice(0, -1).findLastIndex(isEnd) + 1);
}
