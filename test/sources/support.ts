import type { DownloadError } from "../../src/core/errors.ts";
import type { Manifest, Secret, Source, SourceContext, StartRequest } from "../../src/core/ports.ts";
import { createSources } from "../../src/sources/index.ts";
import { client, clock, log } from "../http/client.ts";

export const context = (secret: Secret = {}): SourceContext => ({
  secret,
  signal: new AbortController().signal,
  log,
});

/** The list of sources as the program has it, with a hub of ours. */
export function sources(hfEndpoint?: string, hfToken?: string): Source[] {
  return createSources({ http: client(), clock, log, hfEndpoint, hfToken });
}

/** Goes the way of a start request: the first source that accepts it parses and resolves it. */
export async function resolve(list: readonly Source[], request: StartRequest): Promise<Manifest> {
  const source = list.find((s) => s.accepts(request));
  if (!source) throw new Error("nobody accepts this");
  return source.resolve(source.parse(request), context(source.secretOf?.(request)));
}

/** The error a promise ends in. */
export async function failure(promise: Promise<unknown>): Promise<DownloadError> {
  return promise.then(
    () => {
      throw new Error("it did not fail");
    },
    (error) => error,
  );
}
