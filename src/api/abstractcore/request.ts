import { type Static, Type } from "@sinclair/typebox";
import { DownloadError } from "../../core/errors.ts";
import type { StartRequest } from "../../core/ports.ts";
import { publicUrl } from "../../core/redact.ts";
import { textParam } from "../doc.ts";
import { withoutUndefined } from "../downloads/start.ts";
import { open } from "../wire.ts";
import { type Asked, pulls, refusedProvider } from "./providers.ts";

const Layout = Type.Union([Type.Literal("hf-cache"), Type.Literal("flat")], {
  description: "hf-cache (default): the Hugging Face cache; flat: the models directory",
});

/** The query of the one route (R168). */
export const DownloadQuery = open({
  provider: Type.String({
    minLength: 1,
    maxLength: 64,
    description: "huggingface, mlx, ollama, or any other name of GET /v1/sources",
    examples: ["huggingface"],
  }),
  model: Type.String({
    minLength: 1,
    maxLength: 512,
    description: "Name in the provider's own spelling; whole repositories of a hub",
    examples: ["meta-llama/Llama-2-7b"],
  }),
  token: textParam("Access token of the hub, never this server's own key", 8192),
  base_url: textParam(
    "Server to ask instead of the provider's own: a URL, for Ollama also host, host:port or :port",
    2048,
  ),
  layout: Type.Optional(Layout),
  revision: textParam("Branch, tag or commit", 256),
  ticket: textParam("From POST /v1/tickets"),
});
export type DownloadQuery = Static<typeof DownloadQuery>;

/** Whoever sends an empty parameter has nothing to say with it: the seed's clients build their URLs by hand. */
const given = (value: string | undefined): string | undefined => (value === "" ? undefined : value);

/**
 * What the core is asked for. `header` is the hub token as a header, for those who can send one; the query wins.
 * Throws `unsupported_provider` and `invalid_request`.
 */
export function startRequest(
  query: DownloadQuery,
  header: string | null,
  supported: readonly string[],
): StartRequest {
  const provider = providerOf(query);
  const refusal = refusedProvider(provider, supported);
  if (refusal !== undefined) throw new DownloadError("unsupported_provider", refusal, { param: "provider" });
  const model = query.model.trim();
  // Names of Ollama's models may begin with a scheme.
  const isUrl = !pulls(provider) && /^https?:\/\//i.test(model);
  const token = given(query.token) ?? given(header ?? undefined);
  if (token !== undefined && !/^[\u0021-\u007e]+$/.test(token))
    throw new DownloadError("invalid_request", "'token' has characters no token has.", { param: "token" });
  return withoutUndefined({
    provider,
    ...(isUrl ? { url: model } : { model }),
    token,
    baseUrl: given(query.base_url),
    revision: given(query.revision),
    layout: query.layout ?? "hf-cache",
  });
}

const providerOf = ({ provider }: DownloadQuery): string => provider.trim().toLowerCase();

/** What is asked for, as messages may name it: a query of a URL may be a signature. */
export const askedFor = (query: DownloadQuery): Asked => {
  const model = query.model.trim();
  return { provider: providerOf(query), model: model.includes("://") ? publicUrl(model) : model };
};
