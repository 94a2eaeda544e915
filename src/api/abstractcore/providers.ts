import type { SourceRef } from "../../core/download.ts";
import type { ErrorCode } from "../../core/errors.ts";
import { publicUrl } from "../../core/redact.ts";

/** How people call a provider, and its verb for fetching: the seed pulls from Ollama and downloads from elsewhere. */
interface Spoken {
  place: string;
  pulls?: true;
}

const HUB: Spoken = { place: "HuggingFace Hub" };
const SPOKEN: Record<string, Spoken> = {
  huggingface: HUB,
  hf: HUB,
  mlx: HUB,
  modelscope: { place: "ModelScope" },
  ollama: { place: "Ollama", pulls: true },
  "ollama-registry": { place: "the Ollama registry", pulls: true },
  url: { place: "its server" },
};

const spoken = (provider: string): Spoken => SPOKEN[provider] ?? { place: provider };
/** Whether the seed speaks of pulling. */
export const pulls = (provider: string): boolean => spoken(provider).pulls === true;
export const isDaemon = (provider: string): boolean => provider === "ollama";

/** Providers of chat models without anything to download, and why (R183). */
const WITHOUT_DOWNLOADS: Record<string, string> = {
  lmstudio: "LM Studio has no download API; use its application or its lms command",
  openai: "its models run in its cloud only",
  anthropic: "its models run in its cloud only",
};

/** Why this provider cannot be asked; undefined when it can. `supported` are the names of the sources. */
export function refusedProvider(provider: string, supported: readonly string[]): string | undefined {
  const why = WITHOUT_DOWNLOADS[provider.replace(/[\s_-]/g, "")];
  if (why === undefined && (supported.includes(provider) || provider in SPOKEN)) return undefined;
  const reason = why === undefined ? "" : `: ${why}`;
  return `Provider '${provider}' does not support model downloads${reason}. Supported providers: ${supported.join(", ")}.`;
}

export const startingText = (provider: string, model: string): string =>
  pulls(provider)
    ? `Pulling ${model} from ${spoken(provider).place}...`
    : `Downloading ${model} from ${spoken(provider).place}...`;

export const completeText = (provider: string, model: string): string =>
  pulls(provider) ? `Successfully pulled ${model}` : `Successfully downloaded ${model}`;

/** Which of the seed's sentences an error begins with (A25); null: its own message says it. */
type Opening = "missing" | "needs_token" | "unreachable" | null;

const OPENING: Record<ErrorCode, Opening> = {
  invalid_request: null,
  invalid_url: null,
  invalid_path: null,
  name_collision: null,
  model_id_conflict: null,
  unsupported_provider: null,
  download_not_found: null,
  file_not_found: null,
  invalid_state: null,
  forbidden_address: null,
  overloaded: null,
  not_found: "missing",
  revision_not_found: null,
  entry_not_found: null,
  auth_required: "needs_token",
  gated: "needs_token",
  forbidden: null,
  disabled: null,
  gone: "missing",
  rejected: null,
  rate_limited: null,
  server_error: null,
  dns: "unreachable",
  connect: "unreachable",
  network: null,
  timeout: "unreachable",
  tls: "unreachable",
  proxy_auth: null,
  redirects: null,
  protocol: null,
  clock: null,
  bad_range: null,
  remote_changed: null,
  unexpected_content: null,
  lfs_pointer: null,
  size_mismatch: null,
  checksum: null,
  too_large: null,
  no_space: null,
  volume_gone: null,
  read_only: null,
  io: null,
  file_too_big: null,
  tampered: null,
  locked: null,
  engine_failed: null,
  internal: null,
};

/** What is told of an error nobody expected: its own text belongs into the log (F164). */
const INTERNAL = "The server failed unexpectedly; its log says more.";

export interface Asked {
  provider: string;
  model: string;
}

/** The message of an error: it begins with the seed's own sentence where that has one, and goes on in our words (A25). */
export function errorText(
  { provider, model }: Asked,
  error: { code: ErrorCode; message: string },
  source?: Pick<SourceRef, "baseUrl" | "url">,
): string {
  if (error.code === "internal") return INTERNAL;
  const sentence = opening(OPENING[error.code], provider, model, source);
  if (sentence === undefined || error.message.startsWith(sentence)) return error.message;
  return `${sentence.replace(/\.$/, "")}. ${error.message}`;
}

function opening(
  kind: Opening,
  provider: string,
  model: string,
  source: Pick<SourceRef, "baseUrl" | "url"> | undefined,
): string | undefined {
  switch (kind) {
    case "missing":
      return `Model '${model}' not found on ${spoken(provider).place}`;
    case "needs_token":
      return "Model requires authentication. Provide token parameter.";
    case "unreachable":
      return isDaemon(provider) && source
        ? `Cannot connect to Ollama server at ${withoutSlash(publicUrl(source.baseUrl ?? source.url))}`
        : undefined;
    case null:
      return undefined;
  }
}

const withoutSlash = (url: string): string => url.replace(/\/+$/, "");
