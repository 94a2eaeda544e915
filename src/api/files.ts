import { Type } from "@sinclair/typebox";
import { STATES } from "../core/download.ts";
import { type DiskFile, type Downloads, TRUSTS } from "../core/downloads.ts";
import { integerText, operation, textParam } from "./doc.ts";
import { onCursor, pageOf } from "./downloads/list.ts";
import { presentFile } from "./downloads/present.ts";
import { FileSchema } from "./downloads/schemas.ts";
import { invalid } from "./downloads/start.ts";
import { refuseKolosal } from "./envelope.ts";
import * as examples from "./examples.ts";
import { type ApiContext, type Family, newRoutes } from "./family.ts";
import { json } from "./reply.ts";
import { eventText, verdict, verificationStream } from "./verification.ts";
import { open, word } from "./wire.ts";

const DiskFileSchema = Type.Composite(
  [
    Type.Omit(FileSchema, ["exists"]),
    open({
      download_id: Type.String({ format: "uuid" }),
      model_id: Type.String(),
      provider: Type.String(),
      repo_id: Type.Optional(Type.String()),
      exists: Type.Boolean({ description: "It is still there, with its size" }),
      verification: word(
        TRUSTS,
        "damaged: delete it and download it again; changed: written to since it was known, verify it; missing: gone",
      ),
      download_state: Type.Optional(
        word(STATES, "Of its download; a file of one that has not ended cannot be deleted"),
      ),
      completed_at: Type.Optional(Type.Integer({ minimum: 0, description: "Epoch milliseconds" })),
    }),
  ],
  { additionalProperties: true },
);

const FileParams = open({ id: Type.String({ description: "Number of the file" }) });

function fileNumber(id: string): number {
  if (!/^\d{1,15}$/.test(id)) throw invalid("The file id must be a number", "id");
  return Number(id);
}

/** As `GET /v1/files` lists it. */
export function presentDiskFile({ file, modelId, repo, provider, exists, ...it }: DiskFile) {
  return {
    ...presentFile(file),
    download_id: file.downloadId,
    model_id: modelId,
    provider,
    ...(repo === null ? {} : { repo_id: repo }),
    exists,
    verification: it.trust,
    ...(it.downloadState === null ? {} : { download_state: it.downloadState }),
    ...(file.completedAt === null ? {} : { completed_at: file.completedAt }),
  };
}

/** What is on disk: list, delete, verify. */
export function filesFamily({ downloads, clock }: ApiContext): Family {
  const routes = newRoutes()
    .use(listing(downloads))
    .use(single(downloads, () => clock.monotonic()));
  return { name: "files", prefixes: [], routes, refuse: refuseKolosal };
}

function listing(downloads: Downloads) {
  return newRoutes().get(
    "/v1/files",
    async ({ query }) => {
      const page = await onCursor(() => downloads.disk.list(pageOf(query)));
      const files = page.items.map(presentDiskFile);
      return json(page.nextCursor === null ? { files } : { files, next_cursor: page.nextCursor });
    },
    {
      query: open({
        limit: integerText("Most files of a page", 1, 1000),
        cursor: textParam("next_cursor of the page before"),
      }),
      ...operation({
        id: "listFiles",
        tag: "files",
        summary: "Finished files",
        answers: {
          200: {
            description: "A page of files",
            schema: open({
              files: Type.Array(DiskFileSchema),
              next_cursor: Type.Optional(Type.String()),
            }),
            example: examples.FILES,
          },
        },
      }),
    },
  );
}

function single(downloads: Downloads, now: () => number) {
  return newRoutes()
    .delete(
      "/v1/files/:id",
      async ({ params }) => {
        await downloads.disk.remove(fileNumber(params.id));
        return json({ success: true, message: "File deleted" });
      },
      {
        params: FileParams,
        ...operation({
          id: "deleteFile",
          tag: "files",
          summary: "Delete a file from disk",
          answers: {
            200: {
              description: "Deleted",
              schema: open({ success: Type.Boolean(), message: Type.String() }),
              example: examples.FILE_DELETED,
            },
          },
          errors: [404, 507],
          changes: true,
        }),
      },
    )
    .post(
      "/v1/files/:id/verify",
      async ({ params, request }) => {
        const id = fileNumber(params.id);
        const { signal, headers } = request;
        if (!headers.get("accept")?.includes("text/event-stream"))
          return json(verdict(await downloads.disk.verify(id, signal)));
        return verificationStream((until, tell) => downloads.disk.verify(id, until, tell), signal, now);
      },
      {
        params: FileParams,
        ...operation({
          id: "verifyFile",
          tag: "files",
          summary: "Read a file and compare its digest",
          description:
            "Answers when the whole file has been read; a closed connection stops it. Asked for text/event-stream it tells " +
            "its progress meanwhile: events `progress` {bytes, total}, then one `verdict` with the answer's body, or `error`.",
          answers: {
            200: {
              description: "What was found",
              schema: open({
                success: Type.Boolean({ description: "false when it does not match" }),
                message: Type.String(),
                matches: Type.Optional(Type.Boolean()),
                computed: Type.String({ description: "algorithm:hex of what is on disk" }),
                file: FileSchema,
              }),
              example: examples.VERIFICATION,
              also: {
                "text/event-stream": {
                  schema: Type.String(),
                  example:
                    eventText("progress", { bytes: 1 << 20, total: 1 << 21 }) +
                    eventText("verdict", examples.VERIFICATION),
                },
              },
            },
          },
          errors: [404, 507],
          changes: true,
        }),
      },
    );
}
