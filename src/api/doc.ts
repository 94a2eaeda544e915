import { type TSchema, Type } from "@sinclair/typebox";
import type { DocumentDecoration } from "elysia";
import { open, ref } from "./wire.ts";

export const TAGS = {
  downloads: "Downloads: start, watch, control",
  engines: "Engines: what a model file becomes",
  models: "Models: engines in the words of the second generation",
  local: "The local family: start, one stream of all, cancel",
  history: "Finished records",
  live: "Live streams",
  settings: "Settings in force at once",
  hub: "What hubs offer",
  files: "What is on disk",
  session: "Sessions and tickets",
  service: "The service itself",
  wingman: "wingman: a hub's file asked for by repository and path, and how far it is",
  abstractcore: "abstractcore: one call that downloads a model and streams its progress",
} as const;
export type Tag = keyof typeof TAGS;

const ERRORS: Record<number, string> = {
  400: "The request is malformed or cannot be done in this state",
  401: "Missing or wrong API key",
  403: "Refused: the web origin, or the hub wants a token or an accepted licence",
  404: "Nothing has this id or name",
  408: "The body took too long to arrive",
  409: "It contradicts what is there already",
  413: "The body is too large",
  415: "The body is not JSON",
  422: "It cannot be downloaded from there, or is no model that can be loaded",
  421: "The Host header names another server",
  426: "A WebSocket upgrade is needed",
  429: "Too many wrong keys, or the hub asks to wait",
  500: "Server error",
  502: "The hub or server did not answer properly",
  503: "Too many live connections, or the database is busy",
  504: "The hub or server did not answer in time",
  507: "The disk is full, gone or cannot be written",
};
/** What the guard and the router may answer on any route. */
const ALWAYS = [400, 401, 403, 421, 429, 500];
/** What the database may, on any route that asks it (busy, or on a disk that is full or gone). */
const STORED = [503, 507];
const CHANGES = [408, 409, 413, 415];

export interface Answer {
  description: string;
  schema?: TSchema;
  /** Media type; JSON when not given. */
  type?: string;
  headers?: Record<string, string>;
  example?: unknown;
  /** Other media types it comes in. */
  also?: Record<string, { schema: TSchema; example?: unknown }>;
}

export interface Operation {
  id: string;
  tag: Tag;
  summary: string;
  description?: string;
  /** Good answers by status. */
  answers: Record<number, Answer>;
  /** Statuses of refusals beside those every route may give. */
  errors?: readonly number[];
  /** How a refusal looks where it is not JSON; `error` says which component it is otherwise. */
  refusal?: Omit<Answer, "description">;
  /** JSON body that the handler itself checks. */
  body?: { schema: TSchema; example?: unknown };
  /** It takes a JSON body or changes something. */
  changes?: boolean;
  /** Answers without a key. */
  open?: boolean;
  /** Component of its errors, where the family has its own (A5). */
  error?: string;
}

/** What the OpenAPI document says of a route. Answers are described here, not checked at run time: the tests do that. */
export function operation(spec: Operation): { detail: DocumentDecoration } {
  const stored = spec.tag === "service" ? [] : STORED;
  const errors = [...ALWAYS, ...stored, ...(spec.changes ? CHANGES : []), ...(spec.errors ?? [])];
  const refusal = spec.refusal ?? { schema: ref(spec.error ?? "Error") };
  const responses: Record<string, object> = {};
  for (const [status, answer] of Object.entries(spec.answers)) responses[status] = response(answer);
  for (const status of errors) {
    if (spec.open && status === 401) continue;
    const description = ERRORS[status] ?? "Error";
    responses[status] = response({ ...refusal, description });
  }
  responses.default = response({ ...refusal, description: "Any other error" });
  const detail = {
    operationId: spec.id,
    tags: [spec.tag],
    summary: spec.summary,
    ...(spec.description === undefined ? {} : { description: spec.description }),
    ...(spec.open ? { security: [] } : {}),
    ...(spec.body ? { requestBody: { required: true, content: { "application/json": spec.body } } } : {}),
    responses,
  };
  return { detail: detail as DocumentDecoration };
}

function response({
  description,
  schema,
  type = "application/json",
  headers = {},
  example,
  also,
}: Answer): object {
  const named = Object.entries(headers).map(([name, text]) => [
    name,
    { description: text, schema: { type: "string" } },
  ]);
  return {
    description,
    ...(named.length === 0 ? {} : { headers: Object.fromEntries(named) }),
    ...(schema === undefined
      ? {}
      : { content: { [type]: { schema, ...(example === undefined ? {} : { example }) }, ...also } }),
  };
}

/** A query parameter that must be an integer: it arrives as text, and is documented as what it is. */
export const integerText = (description: string, minimum: number, maximum: number) =>
  Type.Optional(Type.String({ pattern: "^\\d{1,15}$", description, "x-integer": { minimum, maximum } }));

/** `true` or `false` of a query, which is all text. */
export const booleanText = (description: string) =>
  Type.Optional(Type.String({ pattern: "^(true|false)$", description, "x-boolean": true }));
export const textParam = (description: string, maxLength = 512) =>
  Type.Optional(Type.String({ description, maxLength }));

/** How streams may be opened by browsers, which cannot set headers there. */
export const StreamQuery = open({
  ticket: textParam("From POST /v1/tickets"),
  since: integerText(
    "Continue after this event; the header Last-Event-ID beats it",
    0,
    Number.MAX_SAFE_INTEGER,
  ),
});

/** Path parameter of routes that take a `model_id` or a UUID. */
export const IdParams = open({
  id: Type.String({
    description: "model_id (percent-encoded, %2F included) or UUID of the download",
    minLength: 1,
  }),
});
