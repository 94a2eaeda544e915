import { type Static, Type } from "@sinclair/typebox";
import type { Settings, SettingsPatch } from "../core/downloads.ts";
import { operation } from "./doc.ts";
import { presentRetry } from "./downloads/present.ts";
import { RetrySchema } from "./downloads/schemas.ts";
import { retryPatch, withoutUndefined } from "./downloads/start.ts";
import { refuseKolosal } from "./envelope.ts";
import { SETTINGS } from "./examples.ts";
import { type ApiContext, type Family, newRoutes } from "./family.ts";
import { json } from "./reply.ts";
import { open, ref } from "./wire.ts";

export const SettingsSchema = open(
  {
    max_concurrent: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 100, description: "Downloads that run at once" }),
    ),
    connections_per_download: Type.Optional(Type.Integer({ minimum: 1, maximum: 64 })),
    rate_limit_bps: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        description: "Of all downloads together, 0 = no limit",
      }),
    ),
    retry: Type.Optional(RetrySchema),
    paused: Type.Optional(
      Type.Boolean({ description: "No download runs; those that ran wait in the queue" }),
    ),
  },
  { description: "Kept, and in force at once", minProperties: 1, example: SETTINGS },
);

const present = (settings: Settings) => ({
  max_concurrent: settings.maxConcurrent,
  connections_per_download: settings.connectionsPerDownload,
  rate_limit_bps: settings.rateLimit,
  retry: presentRetry(settings.retry),
  paused: settings.paused,
});

const patch = (body: Static<typeof SettingsSchema>): SettingsPatch =>
  withoutUndefined({
    maxConcurrent: body.max_concurrent,
    connectionsPerDownload: body.connections_per_download,
    rateLimit: body.rate_limit_bps,
    retry: body.retry === undefined ? undefined : retryPatch(body.retry),
    paused: body.paused,
  });

/** `GET` and `PATCH /v1/settings`. */
export function settingsFamily({ downloads, exchange }: ApiContext): Family {
  const answers = { 200: { description: "The settings", schema: ref("Settings") } };
  const routes = newRoutes()
    .get("/v1/settings", () => json(present(downloads.settings())), {
      ...operation({ id: "getSettings", tag: "settings", summary: "Settings", answers }),
    })
    .patch("/v1/settings", async ({ body }) => json(present(await downloads.changeSettings(patch(body)))), {
      body: SettingsSchema,
      parse: ({ request }) => exchange(request).body ?? {},
      ...operation({
        id: "changeSettings",
        tag: "settings",
        summary: "Change settings; all values given or none",
        answers,
        changes: true,
      }),
    });
  return { name: "settings", prefixes: [], routes, refuse: refuseKolosal };
}
