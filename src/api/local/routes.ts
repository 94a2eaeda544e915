import { Type } from "@sinclair/typebox";
import { DownloadError } from "../../core/errors.ts";
import { type Operation, operation, textParam } from "../doc.ts";
import { type ApiContext, type Family, newRoutes } from "../family.ts";
import { json } from "../reply.ts";
import { seatOf } from "../seat.ts";
import { eventStream } from "../stream.ts";
import { open, ref } from "../wire.ts";
import { LOCAL } from "./present.ts";
import { refusalResponse } from "./refusal.ts";
import { RequestSchema, StatusSchema } from "./schemas.ts";

/** How long a download that has ended is told of to whoever connects (A23). */
const RECENT_MS = 600_000;
const PATH = "/local/download";
export const LOCAL_STREAM = `${PATH}/status`;

const IdParams = open({
  download_id: Type.String({ description: "UUID of the download", minLength: 1 }),
});

const documented = (spec: Omit<Operation, "tag" | "error">) =>
  operation({ ...spec, tag: "local", error: "LocalError" });

/** Seed 000: start one file of the hub, one stream of all downloads, cancel. */
export function localFamily(context: ApiContext): Family {
  const { clock } = context;
  return {
    name: "local",
    prefixes: ["/local"],
    routes: newRoutes().use(start(context)).use(watch(context)).use(cancel(context)),
    refuse: (reason, path) => refusalResponse(reason, path, clock.now()),
  };
}

/** R1-R5: answered as soon as it is queued. */
function start({ downloads, exchange }: ApiContext) {
  return newRoutes().post(
    PATH,
    async ({ body: { repo_id, filename } }) => {
      const { download } = await downloads.start({ repoId: repo_id, filename });
      const message = `Download started for ${repo_id}/${filename}`;
      return json({ download_id: download.id, message }, 202);
    },
    {
      body: RequestSchema,
      parse: ({ request }) => exchange(request).body ?? {},
      ...documented({
        id: "startLocalDownload",
        summary: "Start downloading a model file",
        answers: {
          202: { description: "It is queued, or was already", schema: ref("LocalDownloadResponse") },
        },
        errors: [409],
        changes: true,
      }),
    },
  );
}

/** R6-R9, R24, R26a. */
function watch(context: ApiContext) {
  return newRoutes().get(
    LOCAL_STREAM,
    ({ request }) =>
      eventStream(request, {
        ...seatOf(context, request),
        ids: null,
        tongue: LOCAL,
        lingerMs: RECENT_MS,
      }),
    {
      query: open({ ticket: textParam("From POST /v1/tickets") }),
      ...documented({
        id: "watchLocalDownloads",
        summary: "All downloads as server-sent events",
        description:
          "Unnamed events, the data of each a `LocalDownloadStatus`. On connecting every download that is not finished, " +
          "or has ended in the last ten minutes; then each change and progress. A comment comes every 5 s.",
        answers: {
          200: {
            description: "The stream",
            type: "text/event-stream",
            schema: Type.String(),
            example: `data: ${JSON.stringify(StatusSchema.example)}\n\n`,
          },
        },
        errors: [503],
      }),
    },
  );
}

/** R18-R20, A10. */
function cancel({ downloads }: ApiContext) {
  return newRoutes().delete(
    `${PATH}/:download_id`,
    async ({ params: { download_id: id } }) => {
      // By UUID alone (A3): a model id of that spelling means another download.
      if ((await downloads.find(id))?.id !== id) throw notFound();
      await downloads.cancel(id);
      return json({ message: "Download cancelled successfully" });
    },
    {
      params: IdParams,
      ...documented({
        id: "cancelLocalDownload",
        summary: "Cancel an active download",
        answers: { 200: { description: "It is cancelled", schema: ref("LocalCancellation") } },
        errors: [404, 409],
        changes: true,
      }),
    },
  );
}

const notFound = (): DownloadError =>
  new DownloadError("download_not_found", "Download not found", { param: "download_id" });
