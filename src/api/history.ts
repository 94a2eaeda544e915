import { Type } from "@sinclair/typebox";
import { booleanText, IdParams, operation } from "./doc.ts";
import { refuseKolosal } from "./envelope.ts";
import { RECORDS_REMOVED } from "./examples.ts";
import { type ApiContext, type Family, newRoutes } from "./family.ts";
import { json } from "./reply.ts";
import { open } from "./wire.ts";

const RemoveQuery = open({ files: booleanText("true also deletes the files") });

const Removed = open({
  success: Type.Boolean(),
  message: Type.String(),
  removed_count: Type.Integer({ minimum: 0 }),
});

const removed = (count: number) =>
  json({ success: true, message: "Finished records removed", removed_count: count });

/** `DELETE /v1/history`: finished records only, an unfinished one is refused. */
export function historyFamily({ downloads }: ApiContext): Family {
  const answers = { 200: { description: "Removed", schema: Removed, example: RECORDS_REMOVED } };
  const routes = newRoutes()
    .delete(
      "/v1/history",
      async ({ query }) => removed(await downloads.forgetAll({ files: query.files === "true" })),
      {
        query: RemoveQuery,
        ...operation({
          id: "clearHistory",
          tag: "history",
          summary: "Remove all finished records",
          answers,
          errors: [507],
          changes: true,
        }),
      },
    )
    .delete(
      "/v1/history/:id",
      async ({ params, query }) => {
        await downloads.forget(params.id, { files: query.files === "true" });
        return removed(1);
      },
      {
        params: IdParams,
        query: RemoveQuery,
        ...operation({
          id: "removeFromHistory",
          tag: "history",
          summary: "Remove one finished record",
          answers,
          errors: [404, 507],
          changes: true,
        }),
      },
    );
  return { name: "history", prefixes: [], routes, refuse: refuseKolosal };
}
