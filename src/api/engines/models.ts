import type { Downloads } from "../../core/downloads.ts";
import type { Operation } from "../doc.ts";
import { refuseKolosal } from "../envelope.ts";
import * as examples from "../examples.ts";
import { type ApiContext, type Family, newRoutes } from "../family.ts";
import { json } from "../reply.ts";
import { checker } from "../validation.ts";
import { ref } from "../wire.ts";
import { add, required, wantedOf } from "./add.ts";
import {
  presentEngine,
  presentModelAwaited,
  presentModelCreated,
  presentModelStarted,
  presentModelStatus,
  presentModels,
} from "./present.ts";
import { MODEL_WORDS, refuseEngine, taken } from "./refusals.ts";
import { EngineParams, named } from "./routes.ts";
import {
  AddModelSchema,
  MODEL_BODY,
  ModelCreatedSchema,
  ModelListSchema,
  ModelStartedSchema,
  ModelStatusSchema,
  RemovedSchema,
} from "./schemas.ts";
import { awaited, mustEngine, refuseUnknown } from "./views.ts";

const speaking = async (work: () => Promise<Response>): Promise<Response> => {
  try {
    return await work();
  } catch (error) {
    return refuseEngine(error, MODEL_WORDS);
  }
};

/** The second generation's words for the same engines (REQUIREMENTS section C). */
export function modelsFamily(context: ApiContext): Family {
  const routes = newRoutes();
  for (const prefix of ["/v1", ""]) routes.use(collection(context, prefix)).use(single(context, prefix));
  return { name: "models", prefixes: ["/models", "/v1/models"], routes, refuse: refuseKolosal };
}

const check = checker(AddModelSchema);

function collection({ downloads, exchange }: ApiContext, prefix: string) {
  const path = `${prefix}/models`;
  return newRoutes()
    .get(path, async () => json(presentModels(await downloads.engines.list())), {
      ...named(prefix, {
        id: "listModels",
        tag: "models",
        summary: "All models",
        answers: { 200: { description: "The list", schema: ModelListSchema, example: examples.MODEL_LIST } },
      }),
    })
    .post(
      path,
      ({ request }) =>
        speaking(async () => {
          const { body } = exchange(request);
          required(body, [["model_id"], ["model_path"], ["model_type"]]);
          const wanted = wantedOf(check(body));
          await refuseLoaded(downloads, wanted.spec.engineId);
          return add(downloads, wanted, MODEL_WORDS, (answer) =>
            answer.outcome === "created"
              ? json(presentModelCreated(answer, wanted.body.model_path), 201)
              : json(presentModelStarted(answer, wanted.spec.engineId), 202),
          );
        }),
      named(prefix, ADD),
    );
}

/** This generation makes nothing of a model that is loaded already, not even the same again. */
async function refuseLoaded(downloads: Downloads, id: string): Promise<void> {
  const engine = await downloads.engines.get(id);
  if (engine?.state !== "loaded") return;
  throw taken(MODEL_WORDS, `Model '${id}' is loaded already. Remove it first, or choose another model_id.`);
}

const ADD: Operation = {
  id: "addModel",
  tag: "models",
  summary: "Add a model, which is downloaded first when it is not there",
  description:
    "What is on disk is answered when it is ready. Until then it is shown with `state: loading`, and can be removed.",
  body: { schema: AddModelSchema, example: MODEL_BODY },
  answers: {
    201: {
      description: "The file was there: the model is added",
      schema: ModelCreatedSchema,
      example: examples.MODEL_CREATED,
    },
    202: {
      description: "It is being downloaded; it is added when that is done",
      schema: ModelStartedSchema,
      example: {
        model_id: MODEL_BODY.model_id,
        model_type: MODEL_BODY.model_type,
        status: "downloading",
        message: "Download started in background",
        download_url: MODEL_BODY.model_path,
        local_path: "/home/me/models/Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q4_k_m.gguf",
      },
    },
  },
  errors: [409, 422],
  changes: true,
};

function single({ downloads }: ApiContext, prefix: string) {
  const path = `${prefix}/models/:id`;
  return newRoutes()
    .get(
      path,
      ({ params: { id } }) =>
        speaking(async () => json(presentEngine(await mustEngine(downloads, id, MODEL_WORDS)))),
      {
        params: EngineParams,
        ...named(prefix, {
          id: "getModel",
          tag: "models",
          summary: "One model",
          answers: { 200: { description: "The model", schema: ref("Engine") } },
          errors: [404],
        }),
      },
    )
    .get(`${path}/status`, ({ params: { id } }) => speaking(async () => json(await status(downloads, id))), {
      params: EngineParams,
      ...named(prefix, {
        id: "getModelStatus",
        tag: "models",
        summary: "Whether a model is loaded, or still downloaded",
        answers: {
          200: { description: "Its status", schema: ModelStatusSchema, example: examples.MODEL_STATUS },
        },
        errors: [404],
      }),
    })
    .delete(
      path,
      ({ params: { id } }) =>
        speaking(async () => {
          if (!(await downloads.engines.remove(id))) await refuseUnknown(downloads, id, MODEL_WORDS);
          return json({ model_id: id, status: "removed", message: "Model removed successfully" });
        }),
      {
        params: EngineParams,
        ...named(prefix, {
          id: "removeModel",
          tag: "models",
          summary: "Unload and forget a model; its file stays",
          answers: {
            200: {
              description: "Removed",
              schema: RemovedSchema("model_id"),
              example: examples.removed("model_id"),
            },
          },
          errors: [404],
          changes: true,
        }),
      },
    );
}

async function status(downloads: Downloads, id: string) {
  const engine = await downloads.engines.get(id);
  if (engine) return presentModelStatus(engine);
  const download = await awaited(downloads, id);
  return download ? presentModelAwaited(download, id) : refuseUnknown(downloads, id, MODEL_WORDS);
}
