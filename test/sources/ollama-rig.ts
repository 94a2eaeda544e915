import type { BringObserver } from "../../src/core/ports.ts";
import { createOllama, type OllamaOptions } from "../../src/sources/ollama.ts";
import { client, clock, log } from "../http/client.ts";

/** What a pull told, in order. */
export type Told =
  | { status: string; phase?: string | undefined }
  | { digest: string; size: number; completed: number }
  | { warning: string };

/** An observer that keeps what it is told, and fails when it is told something before it was done with the last. */
export function recorder(delayMs = 0): { told: Told[]; observer: BringObserver; overlaps: () => number } {
  const told: Told[] = [];
  let busy = false;
  let overlaps = 0;
  const take = async (one: Told): Promise<void> => {
    if (busy) overlaps++;
    busy = true;
    told.push(one);
    if (delayMs > 0) await Bun.sleep(delayMs);
    busy = false;
  };
  const observer: BringObserver = {
    layer: take,
    status: (status, phase) => take({ status, phase }),
    warning: (warning) => void told.push({ warning }),
  };
  return { told, observer, overlaps: () => overlaps };
}

export interface Ran {
  told: Told[];
  /** The rejection, if there was one. */
  // biome-ignore lint/suspicious/noExplicitAny: what is thrown; tests look at the fields of a DownloadError
  error: any;
}

export interface RunOptions extends Partial<OllamaOptions> {
  model?: string;
  baseUrl?: string;
  token?: string;
  signal?: AbortSignal;
  again?: boolean;
  delayMs?: number;
}

/** One `bring` against this server, the way a start request goes. */
export async function run(server: string, options: RunOptions = {}): Promise<Ran & { overlaps: number }> {
  const { model = "three", baseUrl, token, signal, again = false, delayMs, ...more } = options;
  const source = createOllama({ http: client(), clock, server, ...more });
  const request = { provider: "ollama", model, ...(baseUrl && { baseUrl }), ...(token && { token }) };
  const { told, observer, overlaps } = recorder(delayMs);
  let error: unknown;
  try {
    const ref = JSON.parse(JSON.stringify(source.parse(request)));
    const secret = source.secretOf?.(request) ?? {};
    const context = { secret, signal: signal ?? new AbortController().signal, log, again };
    await source.bring?.(ref, context, observer);
  } catch (thrown) {
    error = thrown;
  }
  return { told, error, overlaps: overlaps() };
}
