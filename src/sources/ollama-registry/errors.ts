import { DownloadError, type ErrorCode } from "../../core/errors.ts";
import { statusError } from "../status.ts";
import type { Place } from "./place.ts";

/** What the registry says in its body: `{"errors":[{"code","message"}]}`, or `{"error"}` at hf.co (§5.5). */
interface Said {
  code: string;
  message: string;
}

/**
 * What an error answer of a registry means. Its own text decides but is not repeated: it is not ours to vouch for.
 * `now` is epoch milliseconds.
 */
export function registryError(
  place: Place,
  status: number,
  headers: Headers,
  body: string,
  now: number,
): DownloadError {
  const known = meaning(place, status, said(body));
  if (known === undefined)
    return statusError(status, headers, `${place.shown}:${place.name.tag} on ${place.server}`, now);
  return new DownloadError(known[0], known[1], { status });
}

function meaning(place: Place, status: number, { code, message }: Said): [ErrorCode, string] | undefined {
  const { shown, server } = place;
  const { tag } = place.name;
  if (status === 401 || code === "UNAUTHORIZED") return ["auth_required", unauthorized(place)];
  if (status === 403 || code === "DENIED")
    return ["forbidden", `${server} refuses access to ${shown}: the token lacks the permission to read it.`];
  if (status === 404)
    return code === "NAME_UNKNOWN"
      ? ["not_found", `${server} has no model ${shown}: check the name.`]
      : [
          "not_found",
          `${server} has no model ${shown}, or it has no tag "${tag}": check the name, or write ${shown}:TAG.`,
        ];
  if (status === 400 && /sharded/i.test(message))
    return [
      "rejected",
      `${shown} is split over several GGUF files, which ${server} does not give out as one model: download the files themselves from the hub.`,
    ];
  if (status === 400 && /quantization|gguf file does not exist|\btag\b/i.test(message))
    return ["revision_not_found", tagMessage(place)];
  if (status === 412)
    return [
      "rejected",
      `${server} gives ${shown}:${tag} only to a newer version of Ollama than it takes this client for.`,
    ];
  return undefined;
}

/** The model is there, this tag of it is not. */
export const tagMissing = (place: Place): DownloadError =>
  new DownloadError("revision_not_found", tagMessage(place), { status: 404 });

const tagMessage = ({ shown, server, name }: Place): string =>
  `${shown} on ${server} has no tag "${name.tag}": look up its tags there, or leave the tag out.`;

export const unauthorized = ({ shown, server }: Place): string =>
  `${shown} on ${server} is private or does not exist: check the name, give a token that may read it, or pull it through an Ollama that is signed in (provider ollama).`;

/** A registry lists a layer that it does not have. */
export function blobError(place: Place, status: number): DownloadError | undefined {
  if (status === 401) return new DownloadError("auth_required", unauthorized(place), { status });
  if (status !== 404) return undefined;
  return new DownloadError(
    "entry_not_found",
    `${place.server} lists a layer of ${place.shown}:${place.name.tag} that it does not have: the model is damaged there, or has just been replaced. Start the download anew.`,
    { status },
  );
}

function said(body: string): Said {
  try {
    const { errors, error } = JSON.parse(body) as { errors?: unknown; error?: unknown };
    const first = (Array.isArray(errors) ? errors[0] : undefined) as Partial<Said> | undefined;
    return { code: String(first?.code ?? ""), message: String(first?.message ?? error ?? "") };
  } catch {
    return { code: "", message: "" };
  }
}
