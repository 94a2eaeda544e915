import { type TSchema, Type } from "@sinclair/typebox";
import { MODEL_EVENTS } from "./abstractcore/present.ts";
import { COMPONENTS } from "./components.ts";
import { VERBS } from "./downloads/control.ts";
import * as examples from "./examples.ts";
import { CLIENT_FRAMES, Ref } from "./socket-frames.ts";
import { open, ref, whole } from "./wire.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type JsonObject = { [key: string]: Json };

interface Message {
  summary: string;
  payload: TSchema;
  example: unknown;
}

const seq = whole("Number of this event; grows, across restarts too");
const ErrorBody = Type.Index(COMPONENTS.Error as ReturnType<typeof open>, ["error"]);
const States = (COMPONENTS.Download as ReturnType<typeof open>).properties.state as TSchema;
const typed = (type: string, members: Record<string, TSchema> = {}): TSchema =>
  open({ type: Type.Literal(type), ...members });
const frame = (type: keyof typeof CLIENT_FRAMES, name: string = type): TSchema =>
  typed(name, CLIENT_FRAMES[type].properties);

/** Frames that tell what happens: the same JSON over the WebSocket and as data of server-sent events. */
const EVENTS: Record<string, Message> = {
  snapshot: {
    summary:
      "Everything there is to see, as of event seq; more than a hundred downloads come in several parts",
    payload: typed("snapshot", {
      seq,
      more: Type.Optional(
        Type.Literal(true, {
          description: "Further parts follow, of the same seq; together they are everything",
        }),
      ),
      downloads: Type.Array(ref("Download")),
    }),
    example: examples.SNAPSHOT_FRAME,
  },
  download: {
    summary: "A download has changed its state, or made progress",
    payload: typed("download", {
      seq,
      previous_state: Type.Unsafe<unknown>({ ...States, nullable: true, description: "null for progress" }),
      download: ref("Download"),
    }),
    example: examples.DOWNLOAD_FRAME,
  },
  removed: {
    summary: "A record is gone",
    payload: typed("removed", { seq, id: Type.String({ format: "uuid" }), model_id: Type.String() }),
    example: examples.REMOVED_FRAME,
  },
};

/** What the server says over the WebSocket beside the events. */
const SERVER_FRAMES: Record<string, Message> = {
  hello: {
    summary: "The first frame of a connection",
    payload: typed("hello", {
      version: Type.String(),
      seq,
      heartbeat_seconds: Type.Number({ minimum: 0, description: "A ping comes so often" }),
    }),
    example: { type: "hello", version: "0.1.0", seq: 40, heartbeat_seconds: 5 },
  },
  reply: {
    summary: "Answer to the frame of that ref: result when ok, else error",
    payload: typed("reply", {
      ref: Ref,
      ok: Type.Boolean(),
      result: Type.Optional(open({}, { description: "As the REST route of the command answers" })),
      error: Type.Optional(ErrorBody),
    }),
    example: { type: "reply", ref: "1", ok: true, result: examples.COMMAND_DONE },
  },
  ping: { summary: "A sign of life; asks for nothing", payload: typed("ping"), example: { type: "ping" } },
  error: {
    summary: "A frame without a ref could not be understood; the connection stays open",
    payload: typed("error", { error: ErrorBody }),
    example: {
      type: "error",
      error: {
        message: "Unknown frame type",
        type: "invalid_request_error",
        param: "type",
        code: "invalid_request",
      },
    },
  },
};

const command = (verb: string): Message => ({
  summary: `${verb[0]?.toUpperCase()}${verb.slice(1)} one download`,
  payload: frame("command", verb),
  example: { type: verb, ref: "1", id: "my-model" },
});

/** What a client may send over the WebSocket. */
const COMMANDS: Record<string, Message> = {
  subscribe: {
    summary: "Be told of these downloads, or of all; a snapshot or what was missed comes first",
    payload: frame("subscribe"),
    example: { type: "subscribe", ref: "1", since: 40 },
  },
  unsubscribe: {
    summary: "Be told of these no longer, or of none",
    payload: frame("unsubscribe"),
    example: { type: "unsubscribe", ref: "2" },
  },
  start: {
    summary: "Start a download; the body as in POST /v1/downloads",
    payload: frame("start"),
    example: { type: "start", ref: "3", body: examples.START_BODY },
  },
  ...Object.fromEntries(VERBS.map((verb) => [verb, command(verb)])),
};

const unnamed = (component: string, summary: string): Message => ({
  summary,
  payload: ref(component),
  example: COMPONENTS[component]?.example,
});

interface Channel {
  address: string;
  title: string;
  description: string;
  tag: string;
  messages: Record<string, Message>;
  parameters?: Record<string, string>;
  query: TSchema;
}

const id = (description: string) => Type.Optional(Type.String({ description }));
const ticket = Type.Optional(Type.String({ description: "From POST /v1/tickets" }));
const since = Type.Optional(whole("Continue after this event; the header Last-Event-ID beats it"));

/** The streams of server-sent events. Those of the other families are unnamed events with their own objects. */
const STREAMS: Record<string, Channel> = {
  events: {
    address: "/v1/events",
    title: "All downloads",
    description:
      "Server-sent events named as the message; the id of each is its seq. A comment comes every 5 s.",
    tag: "live",
    messages: EVENTS,
    query: open({ ticket, since }),
  },
  downloadEvents: {
    address: "/v1/downloads/{id}/events",
    title: "One download",
    description: "As /v1/events; ends when the record is removed.",
    tag: "live",
    messages: EVENTS,
    parameters: { id: "model_id (percent-encoded, %2F included) or UUID of the download" },
    query: open({ ticket, since }),
  },
  localStatus: {
    address: "/local/download/status",
    title: "All downloads in the words of the local family",
    description: "Unnamed server-sent events, each one download as it is.",
    tag: "local",
    messages: { localStatus: unnamed("LocalDownloadStatus", "One download as it is now") },
    query: open({ ticket }),
  },
  wingmanProgress: {
    address: "/api/progress",
    title: "One file of a hub, or all, in the words of the wingman family",
    description: "Unnamed server-sent events; the stream ends when all that was asked for has ended.",
    tag: "wingman",
    messages: {
      wingmanProgress: unnamed("WingmanProgress", "Progress of one file"),
      wingmanError: unnamed("WingmanError", "A pair nobody asked for"),
    },
    query: open({ ModelRepo: id("Repository, owner/name"), FilePath: id("Path in the repository"), ticket }),
  },
  modelDownload: {
    address: "/api/models/download",
    title: "A model in the words of the abstractcore family",
    description: "Opening it starts the download or joins it. Unnamed server-sent events, then the end.",
    tag: "abstractcore",
    messages: {
      modelProgress: unnamed("ModelProgress", "One step"),
      modelDone: { summary: "It is complete", payload: MODEL_EVENTS.done, example: { done: true } },
      modelError: {
        summary: "It has failed",
        payload: MODEL_EVENTS.error,
        example: { error: "Model 'nonexistent/model' not found on HuggingFace Hub" },
      },
    },
    query: open({
      provider: Type.String({ description: "huggingface, mlx, ollama, or another of GET /v1/sources" }),
      model: Type.String({ description: "Name in the provider's own spelling" }),
      token: id("Access token of the hub"),
      base_url: id(
        "Server to ask instead of the provider's own: a URL, for ollama also host, host:port or :port",
      ),
      ticket,
    }),
  },
};

const SOCKET = { ...SERVER_FRAMES, ...EVENTS, ...COMMANDS };

/** The AsyncAPI 3 document of every live stream; its schemas are those of the OpenAPI document. */
export function asyncApi(version: string): JsonObject {
  const channels = Object.entries(STREAMS).map(([name, channel]) => [name, streamChannel(channel)]);
  return {
    asyncapi: "3.0.0",
    info: {
      title: "modelhaul live",
      version,
      description: "What a modelhaul server tells while it downloads, over WebSocket and server-sent events.",
      license: { name: "MIT" },
    },
    defaultContentType: "application/json",
    servers: {
      http: server("http", "Server-sent events"),
      websocket: server("ws", "WebSocket"),
    },
    channels: { websocket: socketChannel(), ...Object.fromEntries(channels) },
    operations: operations(),
    components: {
      messages: Object.fromEntries(everyMessage().map(([name, message]) => [name, described(name, message)])),
      schemas: toDraft7(COMPONENTS as unknown as Json) as JsonObject,
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer" },
        apiKey: { type: "httpApiKey", name: "X-API-Key", in: "header" },
        ticket: { type: "httpApiKey", name: "ticket", in: "query" },
      },
    },
  };
}

const server = (protocol: string, description: string): JsonObject => ({
  host: "localhost:8080",
  protocol,
  description: `${description}; the default listener. Without --api-key nothing is asked for.`,
  security: ["bearer", "apiKey", "ticket"].map((name) => ({ $ref: `#/components/securitySchemes/${name}` })),
});

const everyMessage = (): [string, Message][] =>
  Object.entries({
    ...SOCKET,
    ...Object.assign({}, ...Object.values(STREAMS).map(({ messages }) => messages)),
  });

const described = (name: string, { summary, payload, example }: Message): JsonObject => ({
  name,
  summary,
  payload: toDraft7(payload as unknown as Json),
  examples: [{ name, payload: example as Json }],
});

const refs = (names: readonly string[]): JsonObject =>
  Object.fromEntries(names.map((name) => [name, { $ref: `#/components/messages/${name}` }]));

const socketChannel = (): JsonObject => ({
  address: "/v1/ws",
  title: "WebSocket",
  description: "JSON text frames. Nothing is told until it is subscribed to.",
  servers: [{ $ref: "#/servers/websocket" }],
  messages: refs(Object.keys(SOCKET)),
  tags: [{ name: "live" }],
  bindings: {
    ws: {
      method: "GET",
      query: toDraft7(open({ ticket }) as unknown as Json),
      bindingVersion: "0.1.0",
    },
  },
});

const streamChannel = ({ address, title, description, tag, messages, parameters }: Channel): JsonObject => ({
  address,
  title,
  description,
  servers: [{ $ref: "#/servers/http" }],
  messages: refs(Object.keys(messages)),
  tags: [{ name: tag }],
  ...(parameters && {
    parameters: Object.fromEntries(
      Object.entries(parameters).map(([name, text]) => [name, { description: text }]),
    ),
  }),
});

/** Of the server: what it sends, and what it takes and how it answers that. */
function operations(): JsonObject {
  const on = (channel: string, names: readonly string[]): Json =>
    names.map((name) => ({ $ref: `#/channels/${channel}/messages/${name}` }));
  const channel = (name: string): JsonObject => ({ $ref: `#/channels/${name}` });
  const streams = Object.entries(STREAMS).map(([name, { title, messages, query }]) => [
    `${name}Stream`,
    {
      action: "send",
      channel: channel(name),
      summary: title,
      messages: on(name, Object.keys(messages)),
      bindings: {
        http: { method: "GET", query: toDraft7(query as unknown as Json), bindingVersion: "0.3.0" },
      },
    },
  ]);
  return {
    websocketTell: {
      action: "send",
      channel: channel("websocket"),
      summary: "What the server tells by itself",
      messages: on("websocket", ["hello", "snapshot", "download", "removed", "ping", "error"]),
    },
    websocketTake: {
      action: "receive",
      channel: channel("websocket"),
      summary: "What a client asks for; each frame with a ref gets one reply",
      messages: on("websocket", Object.keys(COMMANDS)),
      reply: { channel: channel("websocket"), messages: on("websocket", ["reply"]) },
    },
    ...Object.fromEntries(streams),
  };
}

/** TypeBox to JSON Schema draft 7: `null` is a type there, and examples are a list. */
function toDraft7(value: Json): Json {
  if (Array.isArray(value)) return value.map(toDraft7);
  if (value === null || typeof value !== "object") return value;
  const { nullable, example, ...rest } = value;
  const plain: JsonObject = {};
  for (const [key, member] of Object.entries(rest)) if (!key.startsWith("x-")) plain[key] = toDraft7(member);
  if (example !== undefined && isSchema(value)) plain.examples = [example];
  if (nullable !== true) return plain;
  if (Array.isArray(plain.enum)) plain.enum = [...plain.enum, null];
  return { ...plain, type: [plain.type ?? "object", "null"] };
}

/** A schema, and not a map of members one of which is called `example`. */
const isSchema = (value: JsonObject): boolean => typeof value.type === "string" || value.$ref !== undefined;
