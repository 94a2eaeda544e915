import { Type } from "@sinclair/typebox";
import { asyncApi } from "./asyncapi.ts";
import { operation } from "./doc.ts";
import { refuseKolosal } from "./envelope.ts";
import * as examples from "./examples.ts";
import { type ApiContext, type Family, newRoutes } from "./family.ts";
import type { Metrics } from "./metrics.ts";
import type { OpenApi } from "./openapi.ts";
import { json, text } from "./reply.ts";
import { SWAGGER_PATH, swaggerAsset, swaggerPage } from "./swagger.ts";
import { open } from "./wire.ts";

export const HEALTH_PATH = "/health";

const HealthSchema = open({
  status: Type.String(),
  version: Type.String(),
  uptime_seconds: Type.Integer({ minimum: 0 }),
});
const StorageSchema = open({
  free_bytes: Type.Integer({ minimum: 0 }),
  reserved_bytes: Type.Integer({ minimum: 0, description: "Promised to downloads that run" }),
  models_bytes: Type.Integer({ minimum: 0, description: "In finished files" }),
  partial_bytes: Type.Integer({ minimum: 0, description: "In what is not finished yet" }),
});

/** Health, storage, metrics, the document and its page. */
export function serviceFamily(context: ApiContext, metrics: Metrics, openApi: OpenApi): Family {
  const routes = newRoutes().use(state(context, metrics)).use(documents(context.version, openApi));
  return { name: "service", prefixes: [], routes, refuse: refuseKolosal };
}

function state({ downloads, clock, version }: ApiContext, metrics: Metrics) {
  const startedAt = clock.monotonic();
  return newRoutes()
    .get(
      HEALTH_PATH,
      () =>
        json({ status: "ok", version, uptime_seconds: Math.floor((clock.monotonic() - startedAt) / 1000) }),
      operation({
        id: "getHealth",
        tag: "service",
        summary: "Whether the service answers",
        answers: { 200: { description: "It does", schema: HealthSchema, example: examples.HEALTH } },
        open: true,
      }),
    )
    .get(
      "/v1/storage",
      async () => {
        const { freeBytes, reservedBytes, modelsBytes, partialBytes } = await downloads.storage();
        return json({
          free_bytes: freeBytes,
          reserved_bytes: reservedBytes,
          models_bytes: modelsBytes,
          partial_bytes: partialBytes,
        });
      },
      operation({
        id: "getStorage",
        tag: "files",
        summary: "Space on the models volume",
        answers: { 200: { description: "The numbers", schema: StorageSchema, example: examples.STORAGE } },
        errors: [507],
      }),
    )
    .get(
      "/metrics",
      async () => {
        const numbers = await metrics.text();
        return text(numbers.text, numbers.type);
      },
      operation({
        id: "getMetrics",
        tag: "service",
        summary: "Metrics for Prometheus",
        answers: { 200: { description: "Exposition text", type: "text/plain", schema: Type.String() } },
      }),
    );
}

function documents(version: string, openApi: OpenApi) {
  return newRoutes()
    .get(
      "/openapi.json",
      async () => text(await openApi.text(), "application/json; charset=utf-8"),
      operation({
        id: "getOpenApi",
        tag: "service",
        summary: "This document",
        answers: {
          200: { description: "OpenAPI 3.0", schema: open({}), example: examples.OPENAPI },
        },
      }),
    )
    .get(
      "/asyncapi.json",
      () => json(asyncApi(version)),
      operation({
        id: "getAsyncApi",
        tag: "service",
        summary: "The live streams: WebSocket and server-sent events",
        answers: { 200: { description: "AsyncAPI 3.0", schema: open({}), example: examples.ASYNCAPI } },
      }),
    )
    .get(SWAGGER_PATH, () => swaggerPage(), {
      ...operation({
        id: "getSwagger",
        tag: "service",
        summary: "This document to click through",
        answers: { 200: { description: "The page", type: "text/html", schema: Type.String() } },
      }),
    })
    .get(`${SWAGGER_PATH}/:asset`, ({ params }) => swaggerAsset(params.asset), {
      params: open({ asset: Type.String({ description: "File name" }) }),
      ...operation({
        id: "getSwaggerAsset",
        tag: "service",
        summary: "What that page loads",
        answers: { 200: { description: "Script or style", type: "text/*", schema: Type.String() } },
        errors: [404],
      }),
    });
}
