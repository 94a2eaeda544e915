import { Type } from "@sinclair/typebox";
import { type Answer, type Operation, operation } from "../doc.ts";
import { refuseKolosal } from "../envelope.ts";
import * as examples from "../examples.ts";
import { type ApiContext, type Family, newRoutes } from "../family.ts";
import { json } from "../reply.ts";
import { checker } from "../validation.ts";
import { open, ref } from "../wire.ts";
import { add, required, wantedOf } from "./add.ts";
import { presentCreated, presentEngine, presentEngines, presentStarted } from "./present.ts";
import { ENGINE_WORDS, refuseEngine } from "./refusals.ts";
import {
  AddEngineSchema,
  ENGINE_BODY,
  EngineCreatedSchema,
  EngineListSchema,
  EngineStartedSchema,
  LogSchema,
  RemovedSchema,
} from "./schemas.ts";
import { mustEngine, refuseUnknown } from "./views.ts";

export const EngineParams = open({
  id: Type.String({ description: "Id of the engine, percent-encoded", minLength: 1 }),
});

/** One operation id for each of the two paths of a route. */
export const named = (prefix: string, spec: Operation) =>
  operation(prefix === "" ? { ...spec, id: `${spec.id}Unversioned` } : spec);

/** A handler whose refusals are this family's. */
const speaking = async (work: () => Promise<Response>): Promise<Response> => {
  try {
    return await work();
  } catch (error) {
    return refuseEngine(error, ENGINE_WORDS);
  }
};

/** Seed 001's engines: asked for with a URL they begin with a download (R36-R45); views and commands beside. */
export function enginesFamily(context: ApiContext): Family {
  const routes = newRoutes();
  for (const prefix of ["/v1", ""])
    routes.use(collection(context, prefix)).use(single(context, prefix)).use(commands(context, prefix));
  return { name: "engines", prefixes: ["/engines", "/v1/engines"], routes, refuse: refuseKolosal };
}

const check = checker(AddEngineSchema);

function collection({ downloads, exchange }: ApiContext, prefix: string) {
  const path = `${prefix}/engines`;
  return newRoutes()
    .get(path, async () => json(presentEngines(await downloads.engines.list())), {
      ...named(prefix, {
        id: "listEngines",
        tag: "engines",
        summary: "All engines",
        answers: {
          200: { description: "The list", schema: EngineListSchema, example: examples.ENGINE_LIST },
        },
      }),
    })
    .post(
      path,
      async ({ request }) => {
        const { body } = exchange(request);
        required(body, [["engine_id", "model_id"], ["model_path"]]);
        const wanted = wantedOf(check(body));
        return add(downloads, wanted, ENGINE_WORDS, (answer) =>
          answer.outcome === "created"
            ? json(presentCreated(answer, wanted.body.model_path), 201)
            : json(presentStarted(answer, wanted.spec.engineId), 202),
        );
      },
      named(prefix, ADD),
    );
}

const ADD: Operation = {
  id: "addEngine",
  tag: "engines",
  summary: "Make an engine of a model, which is downloaded first when it is not there",
  description:
    "What is on disk is answered when it is ready. Until then it is shown with `state: loading`, and can be removed.",
  body: { schema: { ...AddEngineSchema, required: ["engine_id", "model_path"] }, example: ENGINE_BODY },
  answers: {
    201: {
      description: "The file was there: the engine is made",
      schema: EngineCreatedSchema,
      example: examples.ENGINE_CREATED,
    },
    202: {
      description: "It is being downloaded; the engine is made when that is done",
      schema: EngineStartedSchema,
      example: {
        message: "Model download started successfully. Engine will be created once download completes.",
        engine_id: ENGINE_BODY.engine_id,
        download_status: "started",
        download_url: ENGINE_BODY.model_path,
        local_path: "/home/me/models/Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q4_k_m.gguf",
        progress_endpoint: `/download-progress/${ENGINE_BODY.engine_id}`,
        note: "Check download progress using the progress_endpoint. Engine creation will be deferred until download completes.",
      },
    },
  },
  errors: [409, 422],
  changes: true,
};

const engineAnswer: Answer = { description: "The engine", schema: ref("Engine") };

function single({ downloads }: ApiContext, prefix: string) {
  const path = `${prefix}/engines/:id`;
  const show = ({ params }: { params: { id: string } }) =>
    speaking(async () => json(presentEngine(await mustEngine(downloads, params.id, ENGINE_WORDS))));
  const view = (id: string, summary: string) =>
    named(prefix, { id, tag: "engines", summary, answers: { 200: engineAnswer }, errors: [404] });
  return newRoutes()
    .get(path, show, { params: EngineParams, ...view("getEngine", "One engine") })
    .get(`${path}/status`, show, { params: EngineParams, ...view("getEngineStatus", "The same") })
    .delete(
      path,
      ({ params: { id } }) =>
        speaking(async () => {
          if (!(await downloads.engines.remove(id))) await refuseUnknown(downloads, id, ENGINE_WORDS);
          return json({ engine_id: id, status: "removed", message: "Engine removed successfully" });
        }),
      {
        params: EngineParams,
        ...named(prefix, {
          id: "removeEngine",
          tag: "engines",
          summary: "Stop and forget an engine; its file stays",
          answers: {
            200: {
              description: "Removed",
              schema: RemovedSchema("engine_id"),
              example: examples.removed("engine_id"),
            },
          },
          errors: [404],
          changes: true,
        }),
      },
    );
}

function commands({ downloads }: ApiContext, prefix: string) {
  const path = `${prefix}/engines/:id`;
  const run =
    (verb: "start" | "stop") =>
    ({ params: { id } }: { params: { id: string } }) =>
      speaking(async () => {
        await mustEngine(downloads, id, ENGINE_WORDS);
        return json(presentEngine(await downloads.engines[verb](id)));
      });
  const spec = (verb: string, summary: string, errors: number[]) =>
    named(prefix, {
      id: `${verb}Engine`,
      tag: "engines",
      summary,
      answers: { 200: engineAnswer },
      errors,
      changes: true,
    });
  return newRoutes()
    .post(`${path}/start`, run("start"), {
      params: EngineParams,
      ...spec("start", "Load it; answers when it is ready", [404, 422]),
    })
    .post(`${path}/stop`, run("stop"), {
      params: EngineParams,
      ...spec("stop", "Unload it; the record stays", [404]),
    })
    .get(
      `${path}/log`,
      ({ params: { id } }) =>
        speaking(async () => {
          const lines = await downloads.engines.log(id);
          return json({ engine_id: id, lines: lines ?? (await refuseUnknown(downloads, id, ENGINE_WORDS)) });
        }),
      {
        params: EngineParams,
        ...named(prefix, {
          id: "getEngineLog",
          tag: "engines",
          summary: "The last lines that its process has said",
          answers: { 200: { description: "Oldest first", schema: LogSchema, example: examples.ENGINE_LOG } },
          errors: [404],
        }),
      },
    );
}
