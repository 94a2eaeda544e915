import { Type } from "@sinclair/typebox";
import { DownloadError } from "../../core/errors.ts";
import {
  type Answer,
  booleanText,
  IdParams,
  integerText,
  type Operation,
  operation,
  StreamQuery,
  textParam,
} from "../doc.ts";
import { kolosalRefusal, refusalResponse, refuseKolosal } from "../envelope.ts";
import * as examples from "../examples.ts";
import { type ApiContext, type Family, newRoutes } from "../family.ts";
import { json } from "../reply.ts";
import { seatOf } from "../seat.ts";
import { eventStream } from "../stream.ts";
import { open, ref } from "../wire.ts";
import { presentBulkCancel, presentBulkPause, presentBulkResume } from "./bulk.ts";
import { Control, type Verb } from "./control.ts";
import { list } from "./list.ts";
import { presentOne } from "./present.ts";
import { REPLAY_HEADER, Replays } from "./replays.ts";
import { bulkSchema, ChangeSchema, StartSchema } from "./schemas.ts";
import type { Tally } from "./tally.ts";

const ListQuery = open({
  state: textParam("all, active, finished, or states separated by commas"),
  provider: textParam("Only of this provider", 64),
  q: textParam("Text in model id, repository or file name"),
  limit: integerText("Most records of a page", 1, 1000),
  cursor: textParam("next_cursor of the page before"),
});

const OneQuery = open({
  exists: booleanText("true: each finished file says whether it `exists`; the disk is asked for each"),
});

const one: Answer = { description: "The download", schema: ref("Download") };
const accepted: Answer = {
  description:
    "The download: new, an equal one that is not finished, or an equal one that has failed half-way and goes on",
  schema: ref("Download"),
  headers: { Location: "Where to watch it" },
};

/** The kolosal family: the seeds' routes under both prefixes, and our own beside them (R48, DESIGN §5). */
export function downloadsFamily(context: ApiContext, tally: Tally): Family {
  const routes = newRoutes();
  const replays = new Replays(context.downloads);
  for (const prefix of ["/v1", ""]) {
    routes.use(collection(context, tally, replays, prefix));
    routes.use(single(context, prefix));
    routes.use(commands(context, prefix));
  }
  return {
    name: "downloads",
    prefixes: ["/downloads", "/download-progress", "/v1"],
    routes,
    refuse: refuseKolosal,
  };
}

/** One operation id for each of the two paths of a route. */
const named = (prefix: string, spec: Operation) =>
  operation(prefix === "" ? { ...spec, id: `${spec.id}Unversioned` } : spec);

function collection(context: ApiContext, tally: Tally, replays: Replays, prefix: string) {
  const { downloads, clock } = context;
  const control = new Control(downloads, clock);
  const cancelAll = async () => json(presentBulkCancel(await downloads.cancelAll(), clock.now()));
  const path = `${prefix}/downloads`;
  return newRoutes()
    .get(path, async ({ query }) => json(await list(context, tally, query)), {
      query: ListQuery,
      ...named(prefix, {
        id: "listDownloads",
        tag: "downloads",
        summary: "All active downloads, or a page of a query",
        answers: { 200: { description: "The list", schema: ref("DownloadList") } },
      }),
    })
    .post(
      path,
      async ({ body, request }) => {
        if (body.action === "cancel_all" && Object.keys(body).length === 1) return cancelAll();
        const started = await control.start(body, replays, request.headers.get(REPLAY_HEADER));
        return json(started, 202, { Location: `${path}/${started.id}` });
      },
      {
        body: StartSchema,
        parse: ({ request }) => context.exchange(request).body ?? {},
        ...named(prefix, {
          id: "startDownload",
          tag: "downloads",
          summary: "Start a download",
          description: `Sent again with the same ${REPLAY_HEADER} header, it answers with the download of the first time, also when that has ended by now. Without one, an equal request while a download is unfinished answers with that one.`,
          answers: {
            200: {
              description: "With action cancel_all: what was cancelled",
              schema: ref("BulkCancellation"),
            },
            202: accepted,
          },
          errors: [409],
          changes: true,
        }),
      },
    )
    .delete(path, cancelAll, named(prefix, cancelAllSpec("cancelAllDownloads")));
}

const cancelAllSpec = (id: string): Operation => ({
  id,
  tag: "downloads",
  summary: "Cancel all unfinished downloads",
  answers: { 200: { description: "What was cancelled", schema: ref("BulkCancellation") } },
  changes: true,
});

function single(context: ApiContext, prefix: string) {
  const { downloads, clock } = context;
  const control = new Control(downloads, clock);
  const path = `${prefix}/downloads/:id`;
  return newRoutes()
    .get(
      path,
      async ({ params, query }) => json(await showOne(context, params.id, query.exists === "true")),
      {
        params: IdParams,
        query: OneQuery,
        ...named(prefix, {
          id: "getDownload",
          tag: "downloads",
          summary: "One download with its files",
          answers: { 200: one },
          errors: [404],
        }),
      },
    )
    .patch(path, async ({ params, body }) => json(await control.change(params.id, body)), {
      params: IdParams,
      body: ChangeSchema,
      parse: ({ request }) => context.exchange(request).body ?? {},
      ...named(prefix, {
        id: "changeDownload",
        tag: "downloads",
        summary: "Change priority, place in the queue, rate limit or retry policy",
        answers: { 200: one },
        errors: [404],
        changes: true,
      }),
    })
    .get(
      `${path}/events`,
      async ({ params, request }) => {
        const { id } = await downloads.get(params.id);
        return eventStream(request, { ...seatOf(context, request), ids: new Set([id]) });
      },
      {
        params: IdParams,
        query: StreamQuery,
        ...named(prefix, {
          id: "watchDownload",
          tag: "live",
          summary: "One download as server-sent events: snapshot, download, removed",
          answers: {
            200: {
              description: "The stream",
              type: "text/event-stream",
              schema: Type.String(),
              example: examples.EVENTS,
            },
          },
          errors: [404, 503],
        }),
      },
    )
    .get(
      `${prefix}/download-progress/:id`,
      async ({ params }) => json(await showProgress(context, params.id)),
      {
        params: IdParams,
        ...named(prefix, {
          id: "getDownloadProgress",
          tag: "downloads",
          summary: "Progress of a model or engine id",
          answers: { 200: one },
          errors: [404],
        }),
      },
    );
}

/** With `look` the disk is asked for each of its files, which a list of many would wait for. */
async function showOne({ downloads, clock }: ApiContext, id: string, look: boolean) {
  const download = await downloads.get(id);
  const files = await downloads.files(download.id);
  return presentOne(download, clock.now(), files, look ? await downloads.disk.whole(files) : undefined);
}

/** R27: by model id, UUID, or the id of the engine it was started for. */
async function showProgress({ downloads, clock }: ApiContext, id: string) {
  const found = (await downloads.find(id)) ?? (await byEngine());
  return presentOne(found ?? (await downloads.get(id)), clock.now());

  async function byEngine() {
    const { items } = await downloads.list({ labels: { engine_id: id } }, { limit: 1000 });
    return items.find(({ endedAt }) => endedAt === null) ?? items.at(-1);
  }
}

function commands(context: ApiContext, prefix: string) {
  const { downloads, clock } = context;
  const control = new Control(downloads, clock);
  const run =
    (verb: Verb) =>
    async ({ params }: { params: { id: string } }) => {
      try {
        return json(await control.run(verb, params.id));
      } catch (error) {
        return refuseCommand(verb, params.id, error);
      }
    };
  const spec = (verb: Verb, summary: string, schema = ref("CommandDone")): Operation => ({
    id: `${verb}Download`,
    tag: "downloads",
    summary,
    answers: { 200: { description: "Done", schema } },
    errors: [404],
    changes: true,
  });
  const path = `${prefix}/downloads`;
  const all = (noun: string, verb: string, id: string, summary: string) =>
    named(prefix, {
      id,
      tag: "downloads",
      summary,
      answers: {
        200: {
          description: "What was done",
          schema: bulkSchema(noun, verb),
          example: examples.bulk(noun, verb),
        },
      },
      changes: true,
    });
  return newRoutes()
    .post(`${path}/:id/pause`, run("pause"), {
      params: IdParams,
      ...named(prefix, spec("pause", "Pause; its bytes stay")),
    })
    .post(`${path}/:id/resume`, run("resume"), {
      params: IdParams,
      ...named(prefix, spec("resume", "Resume a paused one")),
    })
    .post(`${path}/:id/cancel`, run("cancel"), {
      params: IdParams,
      ...named(prefix, spec("cancel", "Cancel and delete its partial data", ref("Cancellation"))),
    })
    .delete(`${path}/:id`, run("cancel"), {
      params: IdParams,
      ...named(prefix, { ...spec("cancel", "Cancel", ref("Cancellation")), id: "deleteDownload" }),
    })
    .post(`${path}/:id/retry`, run("retry"), {
      params: IdParams,
      ...named(prefix, spec("retry", "Queue a failed or cancelled one again")),
    })
    .post(
      `${path}/pause`,
      async () => json(presentBulkPause(await downloads.pauseAll(), clock.now())),
      all("pauses", "paused", "pauseAllDownloads", "Pause all"),
    )
    .post(
      `${path}/resume`,
      async () => json(presentBulkResume(await downloads.resumeAll(), clock.now())),
      all("resumes", "resumed", "resumeAllDownloads", "Resume all paused ones"),
    )
    .post(
      `${path}/cancel`,
      async () => json(presentBulkCancel(await downloads.cancelAll(), clock.now())),
      named(prefix, cancelAllSpec("postCancelAllDownloads")),
    );
}

/** R93, R94, A5: codes that the seed leaves null, and its two members beside the error of pause and resume. */
function refuseCommand(verb: Verb, id: string, error: unknown): Response {
  if (!(error instanceof DownloadError)) throw error;
  const refusal = kolosalRefusal(error);
  if (error.code === "download_not_found") refusal.error.code = null;
  const beside = verb === "pause" || verb === "resume" ? { success: false, model_id: id } : {};
  return refusalResponse(refusal, beside);
}
