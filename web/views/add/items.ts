/** What is about to be downloaded: one item per reference, kept while the reader looks at other views. */

import { batch, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { Reading } from "../../../src/client/index.ts";
import { type Lanes, lanes } from "../../../src/client/lanes.ts";
import { listRemoteFiles, loadStorage, tell } from "../../state/actions.ts";
import { ApiError, server } from "../../state/api.ts";
import { background } from "../../state/background.ts";
import { toast } from "../../state/notices.ts";
import { storage } from "../../state/store.ts";
import type { RemoteListing } from "../../state/types.ts";
import { type Choices, choicesOf, preselect, sizeOf } from "./choices.ts";
import type { Marks, OptionName } from "./marks.ts";
import { linesOf, referenceOf } from "./references.ts";

/** What a reference turned out to be. */
export type Found =
  | { kind: "looking" }
  /** It cannot be read, or the hub does not show it. `wantsToken`: with one it might. */
  | { kind: "failed"; message: string; wantsToken: boolean }
  /** A file at a URL, or a model that another program fetches: taken as it is. `size` where it is known. */
  | { kind: "whole"; size: number | undefined }
  | { kind: "choose"; listing: RemoteListing; choices: Choices };

export interface EngineOptions {
  wanted: boolean;
  id: string;
  type: "" | "llm" | "embedding";
  runtime: string;
  load: boolean;
  gpu: string;
  context: string;
  gpuLayers: string;
  parallel: string;
}

export interface Options {
  name: string;
  priority: string;
  /** Megabytes per second. */
  limit: string;
  sha256: string;
  layout: "" | "flat" | "hf-cache";
  engine: EngineOptions;
}

const noOptions = (): Options => ({
  name: "",
  priority: "",
  limit: "",
  sha256: "",
  layout: "",
  engine: {
    wanted: false,
    id: "",
    type: "",
    runtime: "",
    load: true,
    gpu: "",
    context: "",
    gpuLayers: "",
    parallel: "",
  },
});

export interface Item {
  id: number;
  /** As it was typed; shown. */
  line: string;
  reading: Reading | undefined;
  found: Signal<Found>;
  /** Keys of `choices`. */
  chosen: Signal<ReadonlySet<string>>;
  /** Which program brings an Ollama model. */
  provider: Signal<string>;
  /** Of the hub. Kept here until the download is started, and nowhere else. */
  token: Signal<string>;
  options: Signal<Options>;
  /** Why it was not started. */
  refusal: Signal<string | undefined>;
  /** Options that are wrong, and what to write instead. */
  marks: Signal<Marks>;
  /** The option that is to get the focus; the card gives it. */
  wanted: Signal<OptionName | undefined>;
  /** Ends what is being asked about it. */
  asking: AbortController;
}

const all = signal<readonly Item[]>([]);
export const items: ReadonlySignal<readonly Item[]> = all;
export const isReading = signal(false);
let last = 0;

/** What stands in the field, kept while the reader looks at other views. */
export const typed = signal("");

/** Puts lines back into the field, before what has been typed meanwhile. */
export function giveBack(lines: readonly string[]): void {
  typed.value = [...lines, typed.peek()].filter((line) => line.trim() !== "").join("\n");
}

/** Reads the lines of a text and adds what is not there yet; what cannot be read now is put into the field. */
export async function addText(text: string): Promise<void> {
  const known = new Set(all.peek().map(({ line }) => line));
  const lines = linesOf(text).filter((line) => !known.has(line));
  if (lines.length === 0) return;
  const [now, later] = [lines.slice(0, MOST_LINES), lines.slice(MOST_LINES)];
  isReading.value = true;
  try {
    const { readings } = await server.hub.read(now.map(referenceOf));
    void loadStorage().catch(() => {});
    const fresh = now.map((line, at) => itemOf(line, readings[at]));
    all.value = [...all.peek(), ...fresh];
    for (const item of fresh) void look(item);
    if (later.length === 0) return;
    giveBack(later);
    toast(`${MOST_LINES} are looked up. ${later.length} more stay in the field: look them up next.`);
  } catch (error) {
    giveBack(lines);
    tell(error);
  } finally {
    isReading.value = false;
  }
}

/** Of one request to the server. */
const MOST_LINES = 100;

function itemOf(line: string, reading: Reading | undefined): Item {
  last += 1;
  return {
    id: last,
    line,
    reading,
    found: signal<Found>({ kind: "looking" }),
    chosen: signal<ReadonlySet<string>>(new Set()),
    provider: signal(reading?.provider ?? ""),
    token: signal(""),
    options: signal(noOptions()),
    refusal: signal<string | undefined>(undefined),
    marks: signal<Marks>({}),
    wanted: signal<OptionName | undefined>(undefined),
    asking: new AbortController(),
  };
}

export function removeItem(item: Item): void {
  item.asking.abort();
  item.token.value = "";
  all.value = all.peek().filter((other) => other !== item);
}

/** Free space on the server, less what unfinished downloads will take; undefined while it is unknown. */
export const freeSpace = (): number | undefined => storage.value?.free_bytes;

export const isOllama = ({ reading }: Item): boolean => reading?.provider?.startsWith("ollama") === true;

/** A silent hub must leave something for what else goes on in the background. */
const few = lanes(2);
const ask: Lanes = (work, signal) => few(() => background(work, signal), signal);

/** Asks the hub what there is. Called again when a token has been given. */
export async function look(item: Item): Promise<void> {
  const { reading, found } = item;
  item.asking.abort();
  item.asking = new AbortController();
  const { signal } = item.asking;
  found.value = { kind: "looking" };
  if (!reading || reading.error) {
    found.value = {
      kind: "failed",
      message: reading?.error?.message ?? "It cannot be read.",
      wantsToken: false,
    };
    return;
  }
  if (isOllama(item)) return lookAtOllama(item, signal);
  const { provider, repo_id, lists } = reading;
  if (!lists || provider === undefined || repo_id === undefined || reading.include) {
    found.value = { kind: "whole", size: undefined };
    return;
  }
  try {
    const listing = await ask(
      () => listRemoteFiles(provider, repo_id, { ...hubOptions(item), signal }),
      signal,
    );
    if (storage.peek() === null) await loadStorage().catch(() => {});
    if (!signal.aborted) show(item, listing);
  } catch (error) {
    if (!signal.aborted) found.value = failure(error);
  }
}

function show({ reading, found, chosen }: Item, listing: RemoteListing): void {
  const choices = choicesOf(listing);
  batch(() => {
    chosen.value = new Set(preselect(choices, freeSpace(), reading?.filename));
    found.value = { kind: "choose", listing, choices };
  });
}

const hubOptions = ({ reading, token }: Item) => ({
  ...(reading?.revision === undefined ? {} : { revision: reading.revision }),
  ...(token.peek() === "" ? {} : { token: token.peek() }),
});

/** The registry tells the size, whoever brings the model; a daemon may know names that it does not. */
async function lookAtOllama(item: Item, signal: AbortSignal): Promise<void> {
  const { reading, found, provider } = item;
  const { repo_id = "" } = reading ?? {};
  try {
    const { files } = await ask(
      () => listRemoteFiles("ollama-registry", repo_id, { ...hubOptions(item), signal }),
      signal,
    );
    if (signal.aborted) return;
    found.value = { kind: "whole", size: files.reduce((sum, { size }) => sum + size, 0) };
  } catch (error) {
    if (signal.aborted) return;
    found.value = provider.peek() === "ollama" ? { kind: "whole", size: undefined } : failure(error);
  }
}

/** Refusals that a token of an account with access would turn into a list. */
const WITH_TOKEN = new Set(["auth_required", "gated", "forbidden", "not_found"]);

function failure(error: unknown): Found {
  const message = error instanceof Error ? error.message : String(error);
  const wantsToken = error instanceof ApiError && WITH_TOKEN.has(error.code ?? "");
  return { kind: "failed", message, wantsToken };
}

/** Bytes that an item will take; undefined while nobody knows. */
export function bytesOf({ found, chosen }: Item): number | undefined {
  const now = found.value;
  if (now.kind === "whole") return now.size;
  return now.kind === "choose" ? sizeOf(now.choices, chosen.value) : undefined;
}

export const isReady = ({ found, chosen }: Item): boolean =>
  found.value.kind === "whole" || (found.value.kind === "choose" && chosen.value.size > 0);
