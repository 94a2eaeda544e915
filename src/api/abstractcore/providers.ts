import type { ErrorCode } from "../../core/errors.ts";
import { hasNoDownloads, unsupportedText } from "../../core/unsupported.ts";

/** How people call a provider, and its verb for fetching: the seed pulls from Ollama and downloads from elsewhere. */
interface Spoken {
  place: string;
  pulls?: true;
}

const HUB: Spoken = { place: "HuggingFace Hub" };
const SPOKEN = new Map<string, Spoken>(
  Object.entries({
    huggingface: HUB,
    hf: HUB,
    mlx: HUB,
    modelscope: { place: "ModelScope" },
    ollama: { place: "Ollama", pulls: true },
    "ollama-registry": { place: "the Ollama registry", pulls: true },
    url: { place: "its server" },
  }),
);

const spoken = (provider: string): Spoken => SPOKEN.get(provider) ?? { place: provider };
/** Whether the seed speaks of pulling. */
export const pulls = (provider: string): boolean => spoken(provider).pulls === true;
export const isDaemon = (provider: string): boolean => provider === "ollama";

/** Why this provider cannot be asked; undefined when it can. `supported` are the names of the sources. */
export const refusedProvider = (provider: string, supported: readonly string[]): string | undefined =>
  !hasNoDownloads(provider) && (supported.includes(provider) || SPOKEN.has(provider))
    ? undefined
    : unsupportedText(provider, supported);

export const startingText = (provider: string, model: string): string =>
  pulls(provider)
    ? `Pulling ${model} from ${spoken(provider).place}...`
    : `Downloading ${model} from ${spoken(provider).place}...`;

export const completeText = (provider: string, model: string): string =>
  pulls(provider) ? `Successfully pulled ${model}` : `Successfully downloaded ${model}`;

/** Which of the seed's sentences an error begins with (A25); null: its own message says it. */
type Opening = "missing" | "needs_token" | null;

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
  dns: null,
  connect: null,
  network: null,
  timeout: null,
  tls: null,
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

/**
 * The message of an error: it begins with the seed's own sentence where that has one, and goes on in our words (A25).
 * The one about a daemon that cannot be reached names its address, and comes from its source.
 */
export function errorText(
  { provider, model }: Asked,
  { code, message }: { code: ErrorCode; message: string },
): string {
  if (code === "internal") return INTERNAL;
  const opening = OPENING[code];
  if (opening === "missing") return `Model '${model}' not found on ${spoken(provider).place}. ${message}`;
  // An Ollama server shows its registry a key of its own; a token of ours is no help there.
  if (opening === "needs_token" && !pulls(provider))
    return `Model requires authentication. Provide token parameter. ${message}`;
  return message;
}
