import { Type } from "@sinclair/typebox";
import { operation, StreamQuery, textParam } from "./doc.ts";
import { refuseKolosal } from "./envelope.ts";
import { EVENTS } from "./examples.ts";
import { type ApiContext, type Family, newRoutes } from "./family.ts";
import { Problem } from "./problem.ts";
import { seatOf } from "./seat.ts";
import { Session } from "./socket.ts";
import { eventStream } from "./stream.ts";
import { open } from "./wire.ts";

/** `GET /v1/events` and `GET /v1/ws`. */
export function liveFamily(context: ApiContext): Family {
  const routes = newRoutes()
    .get("/v1/events", ({ request }) => eventStream(request, { ...seatOf(context, request), ids: null }), {
      query: StreamQuery,
      ...operation({
        id: "watchDownloads",
        tag: "live",
        summary: "All downloads as server-sent events",
        description:
          "First `snapshot` {seq, downloads}, then `download` {seq, previous_state, download} and `removed` {seq, id, model_id}. " +
          "The id of each event is its seq; Last-Event-ID continues after it. A comment comes every 5 s.",
        answers: {
          200: {
            description: "The stream",
            type: "text/event-stream",
            schema: Type.String(),
            example: EVENTS,
          },
        },
        errors: [503],
      }),
    })
    .get("/v1/ws", ({ request }) => upgrade(context, request), {
      query: open({ ticket: textParam("From POST /v1/tickets") }),
      ...operation({
        id: "openWebSocket",
        tag: "live",
        summary: "Subscribe and command over a WebSocket",
        description:
          "JSON text frames. Client: subscribe {ref?, ids?, since?}, unsubscribe {ref?, ids?}, start {ref, body}, " +
          "pause, resume, cancel, retry {ref, id}. Server: hello, snapshot, download, removed, reply {ref, ok, result or error}, ping, error.",
        answers: { 101: { description: "Switching protocols" } },
        errors: [426, 503],
      }),
    });
  return { name: "live", prefixes: [], routes, refuse: refuseKolosal };
}

/** Hands the connection over; what is returned after that goes nowhere. */
function upgrade(context: ApiContext, request: Request): Response {
  const { server, access, received } = context.exchange(request);
  context.broadcast.checkRoom();
  const session = new Session(context, access.owner);
  if (server.upgrade(received, { data: session })) return new Response(null);
  throw new Problem("upgrade_required", "This path speaks WebSocket; send an upgrade request", {
    headers: { Upgrade: "websocket" },
  });
}
