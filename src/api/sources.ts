import { Type } from "@sinclair/typebox";
import type { RemoteFile, RemoteListing } from "../core/ports.ts";
import { operation, textParam } from "./doc.ts";
import { digestText } from "./downloads/present.ts";
import { invalid } from "./downloads/start.ts";
import { refuseKolosal } from "./envelope.ts";
import * as examples from "./examples.ts";
import { type ApiContext, type Family, newRoutes } from "./family.ts";
import { json } from "./reply.ts";
import { open } from "./wire.ts";

const SourcesSchema = open({
  sources: Type.Array(
    open({
      name: Type.String(),
      description: Type.String(),
      lists: Type.Boolean({ description: "GET /v1/sources/{name}/files works" }),
    }),
  ),
});

const ListingSchema = open({
  repo_id: Type.String({ description: "In its canonical spelling" }),
  commit: Type.Optional(Type.String()),
  gated: Type.Boolean({ description: "A licence must be accepted at the hub first" }),
  files: Type.Array(
    open({
      path: Type.String(),
      size: Type.Integer({ minimum: 0, description: "0 when the hub does not say" }),
      digest: Type.Optional(Type.String()),
      quantization: Type.Optional(Type.String({ description: "As its name says, for example Q4_K_M" })),
      shard_set: Type.Optional(Type.String({ description: "The same for all shards of one model" })),
      shard: Type.Optional(
        open({ number: Type.Integer({ minimum: 0 }), count: Type.Integer({ minimum: 1 }) }),
      ),
    }),
  ),
});

function presentRemote(file: RemoteFile) {
  const { digest, quantization, shardSet, shard } = file;
  return {
    path: file.path,
    size: file.size ?? 0,
    ...(digest === null ? {} : { digest: digestText(digest) }),
    ...(quantization === null ? {} : { quantization }),
    ...(shardSet === null ? {} : { shard_set: shardSet }),
    ...(shard === null ? {} : { shard }),
  };
}

const presentListing = ({ repo, commit, gated, files }: RemoteListing) => ({
  repo_id: repo,
  ...(commit === null ? {} : { commit }),
  gated,
  files: files.map(presentRemote),
});

/** What hubs offer, for pickers. A hub token travels in `X-Hub-Token`, never in the query. */
export function sourcesFamily({ downloads }: ApiContext): Family {
  const routes = newRoutes()
    .get("/v1/sources", () => json({ sources: downloads.sources() }), {
      ...operation({
        id: "listSources",
        tag: "hub",
        summary: "Providers",
        answers: { 200: { description: "The providers", schema: SourcesSchema, example: examples.SOURCES } },
      }),
    })
    .get(
      "/v1/sources/:provider/files",
      async ({ params, query, request }) => {
        if (query.repo === undefined || query.repo === "") throw invalid("'repo' is needed", "repo");
        const token = request.headers.get("x-hub-token") ?? undefined;
        return json(
          presentListing(await downloads.remoteFiles(params.provider, query.repo, query.revision, token)),
        );
      },
      {
        params: open({ provider: Type.String({ description: "Name of a source" }) }),
        query: open({
          repo: textParam("Repository, owner/name"),
          revision: textParam("Branch, tag or commit", 256),
        }),
        ...operation({
          id: "listRemoteFiles",
          tag: "hub",
          summary: "Files of a repository",
          description: "For a private or gated repository send the hub's token in the header X-Hub-Token.",
          answers: {
            200: { description: "The files", schema: ListingSchema, example: examples.REMOTE_FILES },
          },
          errors: [404, 429, 502, 504],
        }),
      },
    );
  return { name: "sources", prefixes: [], routes, refuse: refuseKolosal };
}
