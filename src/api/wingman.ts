import { Type } from "@sinclair/typebox";
import { type Operation, operation } from "./doc.ts";
import { type ApiContext, type Family, newRoutes } from "./family.ts";
import { Problem } from "./problem.ts";
import { json } from "./reply.ts";
import type { Pair } from "./wingman/pair.ts";
import { Pairs } from "./wingman/pairs.ts";
import { refuseWingman } from "./wingman/present.ts";
import { Progress } from "./wingman/progress.ts";
import {
  DONE_EXAMPLE,
  DownloadBody,
  DownloadQuery,
  EVENTS_EXAMPLE,
  OneOrAll,
  ProgressQuery,
  QUEUED_EXAMPLE,
  VIEW_EXAMPLE,
} from "./wingman/schemas.ts";
import { type Answer, report, Starter } from "./wingman/start.ts";
import { ref } from "./wire.ts";

/** The wingman family (seed 003): a file of a hub asked for by repository and path, and how far it is. */
export function wingmanFamily(context: ApiContext): Family {
  const pairs = context.progress?.pairs ?? new Pairs(context.downloads);
  return {
    name: "wingman",
    prefixes: ["/api"],
    routes: newRoutes().use(download(context, pairs)).use(progress(context, pairs)),
    refuse: refuseWingman,
    close: () => {
      if (!context.progress) pairs.stop();
    },
  };
}

type Named = Pick<DownloadBody, "ModelRepo" | "modelRepo" | "FilePath" | "filePath">;

/** The pair as far as it is given; an empty name is none. */
function named({ ModelRepo, modelRepo, FilePath, filePath }: Named): Partial<Pair> {
  const repo = ModelRepo || modelRepo;
  const file = FilePath || filePath;
  return { ...(repo ? { repo } : {}), ...(file ? { file } : {}) };
}

/** Both, or a refusal that says which is missing. What stands in the body counts before the query. */
function pairOf(query: Named, body: Named = {}): Pair {
  const { repo, file } = { ...named(query), ...named(body) };
  if (repo !== undefined && file !== undefined) return { repo, file };
  const missing = [...(repo === undefined ? ["ModelRepo"] : []), ...(file === undefined ? ["FilePath"] : [])];
  throw new Problem("invalid_request", `Give ${missing.map((name) => `'${name}'`).join(" and ")}`, {
    param: missing[0] ?? "ModelRepo",
  });
}

const downloadSpec: Omit<Operation, "id" | "summary"> = {
  tag: "wingman",
  description:
    "Asked as often as one likes it is one transfer. A failed one is reported with its error; retry=true queues it again.",
  answers: {
    200: { description: "How it stands already", schema: ref("WingmanDownload"), example: DONE_EXAMPLE },
    202: {
      description: "It has been queued by this request",
      schema: ref("WingmanDownload"),
      example: QUEUED_EXAMPLE,
    },
  },
  errors: [409, 503, 507],
  error: "WingmanError",
};

function download(context: ApiContext, pairs: Pairs) {
  const starter = new Starter(context.downloads, pairs);
  const answer = async (pair: Pair, retry: boolean): Promise<Response> => {
    const { status, body }: Answer = await starter.ask(pair, retry);
    // R154: whoever has been told finds the file.
    await context.progress?.settled({ repo: body.ModelRepo, file: body.FilePath });
    return json(body, status);
  };
  return newRoutes()
    .get(
      "/api/download",
      async ({ query, request }) => {
        const pair = pairOf(query);
        if (request.method !== "HEAD") return answer(pair, query.retry === "true");
        const known = await starter.look(pair);
        return new Response(null, { status: known ? report(known).status : 404 });
      },
      {
        query: DownloadQuery,
        ...operation({
          ...downloadSpec,
          id: "wingmanDownload",
          summary: "Download a file, or how it stands",
        }),
      },
    )
    .post(
      "/api/download",
      ({ query, body }) => answer(pairOf(query, body), body.retry ?? query.retry === "true"),
      {
        query: DownloadQuery,
        body: DownloadBody,
        parse: ({ request }) => context.exchange(request).body ?? {},
        ...operation({
          ...downloadSpec,
          id: "wingmanPostDownload",
          summary: "The same with a JSON body",
          changes: true,
        }),
      },
    );
}

function progress(context: ApiContext, pairs: Pairs) {
  const shown = new Progress(context, pairs);
  return newRoutes().get("/api/progress", ({ query, request }) => shown.answer(request, named(query)), {
    query: ProgressQuery,
    ...operation({
      id: "wingmanProgress",
      tag: "wingman",
      summary: "Progress of one file, of a repository, or of all",
      description:
        "With both names the progress is streamed unless JSON is asked for by name: first as it is, then each change, until " +
        "it has ended. With one name or none it is a JSON array of all that fits, unless text/event-stream is asked for.",
      answers: {
        200: {
          description: "One with both names, else an array; or the stream",
          schema: OneOrAll,
          example: VIEW_EXAMPLE,
          also: { "text/event-stream": { schema: Type.String(), example: EVENTS_EXAMPLE } },
        },
        204: { description: "To an EventSource that has seen the end already" },
      },
      errors: [404, 503],
      error: "WingmanError",
    }),
  });
}
