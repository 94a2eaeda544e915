/** Options that cannot be what they are: which, and what to write instead. */

import { numberFault, type Range, rateFault } from "../../parts/number.tsx";
import { ApiError } from "../../state/api.ts";
import type { Item } from "./items.ts";

const MIB = 1024 ** 2;

/** Bounds as the API has them. */
const RANGES = {
  priority: { min: -1_000_000, max: 1_000_000, whole: true },
  context: { min: 1, max: 1_000_000, whole: true },
  gpuLayers: { min: 0, max: 1000, whole: true },
  parallel: { min: 1, max: 16, whole: true },
  gpu: { min: -1, max: 15, whole: true },
} satisfies Record<string, Range>;

type Counted = keyof typeof RANGES;
export type OptionName = Counted | "name" | "limit" | "sha256" | "token" | "engineId";
export type Marks = Partial<Record<OptionName, string>>;

/** The API's parameters. */
const FIELDS: Record<string, OptionName> = {
  model_id: "name",
  priority: "priority",
  rate_limit_bps: "limit",
  sha256: "sha256",
  token: "token",
  engine_id: "engineId",
  main_gpu_id: "gpu",
  "loading_parameters.n_ctx": "context",
  "loading_parameters.n_gpu_layers": "gpuLayers",
  "loading_parameters.n_parallel": "parallel",
};

/** What each is called where it stands. */
export const LABELS: Record<OptionName, string> = {
  name: "Name",
  priority: "Priority",
  limit: "Speed limit, MB/s",
  sha256: "SHA-256",
  token: "Access token",
  engineId: "Engine id",
  context: "Context length",
  gpuLayers: "Layers on the GPU",
  parallel: "Parallel sequences",
  gpu: "GPU",
};

/** In the order in which they stand. */
const NAMES = Object.keys(LABELS) as OptionName[];

/** What is typed, in fields that are shown; undefined for the others. */
function typedIn({ options, token, provider }: Item, name: OptionName): string | undefined {
  const { engine, ...rest } = options.peek();
  if (name === "token") return token.peek();
  if (name === "sha256") return provider.peek() === "url" ? rest.sha256 : undefined;
  if (name === "name" || name === "priority" || name === "limit") return rest[name];
  if (!engine.wanted || provider.peek() === "ollama") return undefined;
  return name === "engineId" ? engine.id : engine[name];
}

/** What to write instead of what is in a field; undefined where nothing can be seen to be wrong. */
function faultIn(name: OptionName, typed: string): string | undefined {
  const text = typed.trim();
  if (text === "") return undefined;
  if (name === "name" || name === "engineId") return nameFault(text);
  if (name === "limit") return rateFault(text, MIB);
  if (name === "token") return tokenFault(text);
  if (name !== "sha256") return numberFault(text, RANGES[name])?.replace(/\.$/, ", or nothing.");
  if (/^(?:sha256:)?[0-9a-f]{64}$/i.test(text)) return undefined;
  const count = text.replace(/^sha256:/i, "").length;
  return `Write the 64 digits (0-9 and a-f) of the SHA-256, or nothing. This is not it: ${count} characters${count === 64 ? ", not all of them such digits" : ""}.`;
}

const nameFault = (text: string): string | undefined =>
  /[\u0000-\u001f\u007f]/.test(text) || text.length > 512
    ? "Write at most 512 letters, digits and signs on one line, or nothing."
    : undefined;

const tokenFault = (text: string): string | undefined =>
  /^[\u0021-\u007e]+$/.test(text)
    ? undefined
    : "A token is one word without spaces and accents. Copy it once more from the hub's settings.";

/** Judges one field once more, as soon as something else is typed. */
export function judgeAgain(item: Item, name: OptionName): void {
  const { [name]: before, ...others } = item.marks.peek();
  if (before === undefined) return;
  const fault = faultIn(name, typedIn(item, name) ?? "");
  item.marks.value = fault === undefined ? others : { ...others, [name]: fault };
}

/** Marks all fields that can be seen to be wrong; whether there are any. */
export function judgeAll(item: Item): boolean {
  const faults = NAMES.flatMap((name) => {
    const fault = faultIn(name, typedIn(item, name) ?? "");
    return fault === undefined ? [] : [[name, fault] as const];
  });
  item.marks.value = Object.fromEntries(faults);
  return faults.length > 0;
}

/** Marks the field that a refusal speaks of; whether there is one. */
export function markRefused(item: Item, error: unknown): boolean {
  if (!(error instanceof ApiError) || error.param === null) return false;
  const name = FIELDS[error.param.replace(/^engine\./, "")];
  if (name === undefined || typedIn(item, name) === undefined) return false;
  item.marks.value = { ...item.marks.peek(), [name]: inWords(name, error) };
  return true;
}

/** A person's words, where the server has to speak of the API's parameters. */
function inWords(name: OptionName, { code, message }: ApiError): string {
  const isTaken = code === "model_id_conflict" || code === "engine_id_exists";
  if (name === "engineId" && isTaken) return "Another model has an engine of this id. Write another id.";
  if (name === "name" && isTaken) return "Another download has this name. Write another, or cancel that one.";
  if (name === "name" || name === "engineId")
    return "This cannot be a name here. Write another, such as the model's own with a number.";
  return message;
}

/** The first of its marked fields. */
export const firstMarked = ({ marks }: Item): OptionName | undefined =>
  NAMES.find((name) => marks.peek()[name] !== undefined);
