import { type Static, Type } from "@sinclair/typebox";
import type { Downloads } from "../core/downloads.ts";
import { toDownloadError } from "../core/errors.ts";
import { parseRef } from "../core/reference.ts";
import { operation } from "./doc.ts";
import { kolosalRefusal, refuseKolosal } from "./envelope.ts";
import { type ApiContext, type Family, newRoutes } from "./family.ts";
import { json } from "./reply.ts";
import { open, text } from "./wire.ts";

const Asked = open(
  {
    references: Type.Array(
      text("URL, address of a hub page, hf:org/name[@revision][/path], ollama:name …", 16_384),
      { minItems: 1, maxItems: 100 },
    ),
  },
  { example: { references: ["hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF", "ollama:llama3.2:1b", "llama"] } },
);

const Paths = Type.Array(Type.String());
const Reading = open({
  provider: Type.Optional(Type.String({ description: "One of GET /v1/sources" })),
  model_id: Type.Optional(Type.String({ description: "What a download of it would be called" })),
  lists: Type.Optional(
    Type.Boolean({ description: "GET /v1/sources/{provider}/files?repo={repo_id} shows its files" }),
  ),
  repo_id: Type.Optional(Type.String({ description: "Repository or model; none of a plain URL" })),
  revision: Type.Optional(Type.String()),
  filename: Type.Optional(Type.String({ description: "Where it names one file" })),
  include: Type.Optional(Paths),
  error: Type.Optional(
    open({
      message: Type.String(),
      code: Type.Unsafe<string | null>({ type: "string", nullable: true }),
    }),
  ),
});

const EXAMPLE = {
  readings: [
    {
      provider: "huggingface",
      model_id: "Qwen/Qwen2.5-0.5B-Instruct-GGUF",
      lists: true,
      repo_id: "Qwen/Qwen2.5-0.5B-Instruct-GGUF",
      revision: "main",
    },
    { provider: "ollama", model_id: "llama3.2:1b", lists: false, repo_id: "llama3.2:1b" },
    { error: { message: "Cannot read 'llama': write hf:org/name, …", code: "invalid_request" } },
  ],
};

/** What people type or paste, read as the command line reads it: nothing is asked of a hub, nothing is started. */
export function referencesFamily({ downloads, exchange }: ApiContext): Family {
  const routes = newRoutes().post(
    "/v1/references",
    ({ body }) =>
      json({ readings: (body as Static<typeof Asked>).references.map((it) => read(downloads, it)) }),
    {
      body: Asked,
      parse: ({ request }) => exchange(request).body ?? {},
      ...operation({
        id: "readReferences",
        tag: "hub",
        summary: "What references and URLs mean, before anything is started",
        description: "One reading per reference, in their order; one that cannot be read has an error.",
        answers: {
          200: {
            description: "The readings",
            schema: open({ readings: Type.Array(Reading) }),
            example: EXAMPLE,
          },
        },
        changes: true,
      }),
    },
  );
  return { name: "references", prefixes: [], routes, refuse: refuseKolosal };
}

function read(downloads: Downloads, reference: string): Static<typeof Reading> {
  try {
    const { ref, modelId, lists } = downloads.read(parseRef(reference.trim()));
    const { provider, repo, revision, files, include } = ref;
    return {
      provider,
      model_id: modelId,
      lists,
      ...(repo === undefined ? {} : { repo_id: repo }),
      ...(revision === undefined ? {} : { revision }),
      ...(files?.length === 1 ? { filename: files[0]! } : {}),
      ...(include === undefined ? {} : { include }),
    };
  } catch (error) {
    const { message, code } = kolosalRefusal(toDownloadError(error)).error;
    return { error: { message, code } };
  }
}
