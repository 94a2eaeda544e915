import { DownloadError } from "../core/errors.ts";
import type { FetchRequest, Http, Manifest, Source, SourceContext } from "../core/ports.ts";
import { createHuggingFace, type HuggingFaceOptions } from "./huggingface.ts";
import { HEADER_BYTES, isMlxConfig, isMlxWeights } from "./mlx/signs.ts";
import { encodePath } from "./repository/reference.ts";

export interface MlxOptions extends HuggingFaceOptions {
  /** How long a sign is waited for, milliseconds; default 10 000. Without it the model is fetched all the same. */
  signMs?: number;
}

/** `config.json` of a model is some KiB; a longer one is not read to its end. */
const CONFIG_BYTES = 256 * 1024;

/**
 * Models for Apple's MLX: repositories of the Hugging Face Hub, asked for as such. The whole of one is fetched, as
 * `huggingface` does, and under the same source key: one repository is one transfer, whichever of the two names it.
 * What turns out to be MLX is labelled `format: mlx`; what does not is fetched all the same, with a warning.
 */
export function createMlx(options: MlxOptions): Source {
  const hub = createHuggingFace(options);
  return {
    ...hub,
    name: "mlx",
    description:
      "MLX models of the Hugging Face Hub: one file, a selection by patterns, or a whole repository",

    accepts: ({ provider }) => provider?.toLowerCase() === "mlx",
    parse: (request) => ({ ...hub.parse(request), provider: "mlx" }),

    async resolve(ref, context) {
      const manifest = await hub.resolve(ref, context);
      if (manifest.labels?.format === "mlx") return manifest;
      const found = await lookForSigns(options, hub, manifest, context);
      if (found.includes(true)) return { ...manifest, labels: { ...manifest.labels, format: "mlx" } };
      if (!found.includes(false)) return manifest;
      const warning = `${manifest.repo} has no sign of the MLX format in its card, config.json or weights; mlx-lm may not load it.`;
      return { ...manifest, warnings: [...(manifest.warnings ?? []), warning] };
    },
  };
}

/** Per sign whether it is there, undefined where it could not be read: two small requests at most. */
async function lookForSigns(
  { http, signMs = 10_000 }: Pick<MlxOptions, "http" | "signMs">,
  hub: Source,
  { repo, commit, files }: Manifest,
  context: SourceContext,
): Promise<(boolean | undefined)[]> {
  const ref = { provider: hub.name, key: "", url: "" };
  const read = async (path: string, bytes: number, judge: (head: Uint8Array) => boolean) => {
    const locator = `${repo}/resolve/${commit}/${encodePath(path)}`;
    const asked = await hub.locate(ref, { path, locator }, context);
    const head = await firstBytes(
      http,
      asked,
      bytes,
      AbortSignal.any([context.signal, AbortSignal.timeout(signMs)]),
    );
    context.signal.throwIfAborted();
    return head && judge(head);
  };
  const text = (head: Uint8Array) => new TextDecoder().decode(head);
  const config = await read("config.json", CONFIG_BYTES, (head) => isMlxConfig(text(head)));
  if (config) return [true];
  const weights = files.filter(({ path }) => path.endsWith(".safetensors"));
  const first = weights.find(({ path }) => /(?:^|\/)model[^/]*$/.test(path)) ?? weights[0];
  return [config, first && (await read(first.path, HEADER_BYTES, isMlxWeights))];
}

/** Up to so many of the first bytes; undefined when they are not given (in time), which is for the transfer to report. */
async function firstBytes(
  http: Http,
  asked: FetchRequest,
  bytes: number,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  try {
    const response = await http.request({ ...asked, headers: { Range: `bytes=0-${bytes - 1}` }, signal });
    const chunks: Uint8Array[] = [];
    let length = 0;
    try {
      if (response.status !== 200 && response.status !== 206) return undefined;
      for (let chunk = await response.read(); chunk !== null; chunk = await response.read()) {
        chunks.push(chunk);
        length += chunk.length;
        if (length >= bytes) break;
      }
    } finally {
      await response.cancel();
    }
    return Buffer.concat(chunks).subarray(0, bytes);
  } catch (error) {
    if (signal.aborted || error instanceof DownloadError) return undefined;
    throw error;
  }
}
