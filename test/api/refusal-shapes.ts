import type { Answer } from "./support.ts";

/** How one family says no (A5): what is wrong with an answer as a refusal, and which member it names as the cause. */
export interface Shape {
  problems(answer: Answer): string[];
  /** Whether the refusal names this field. */
  names(answer: Answer, field: string): boolean;
}

const keys = (value: unknown): string =>
  typeof value === "object" && value !== null ? Object.keys(value).join() : typeof value;
const isText = (value: unknown): boolean => typeof value === "string" && value.length > 5;
const isJson = ({ headers }: Answer): boolean =>
  headers.get("content-type")?.startsWith("application/json") === true;

/** R91, with the two types of the engine routes (REQUIREMENTS section C). */
const TYPES =
  "invalid_request_error not_found_error server_error model_download_error model_loading_error".split(" ");

const kolosal: Shape = {
  problems(answer) {
    const { body } = answer;
    const { message, type, param, code } = body?.error ?? {};
    const isPlain = keys(body) === "error" || keys(body) === "success,model_id,error";
    return [
      ...(isJson(answer) ? [] : ["no JSON"]),
      ...(isPlain ? [] : [`members ${keys(body)}`]),
      ...(keys(body?.error) === "message,type,param,code" ? [] : [`members of error ${keys(body?.error)}`]),
      ...(isText(message) ? [] : ["no message"]),
      ...(TYPES.includes(type) ? [] : [`type ${type}`]),
      ...[param, code].filter((it) => it !== null && typeof it !== "string").map((it) => `${it} is no text`),
    ];
  },
  names: ({ body }, field) => body.error.param === field,
};

const local: Shape = {
  problems(answer) {
    const { detail, ...error } = answer.body ?? {};
    const isWhole = keys(error) === "error_code,code,message,details,timestamp";
    return [
      ...(isJson(answer) ? [] : ["no JSON"]),
      ...(isWhole && Bun.deepEquals(detail, error) ? [] : [`members ${keys(answer.body)}`]),
      ...(/^[A-Z_]+$/.test(error.code) && error.code === error.error_code ? [] : [`code ${error.code}`]),
      ...(isText(error.message) ? [] : ["no message"]),
      ...(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(error.timestamp) ? [] : [`time ${error.timestamp}`]),
    ];
  },
  names: ({ body }, field) => body.details?.field === field,
};

const wingman: Shape = {
  problems(answer) {
    const { body } = answer;
    return [
      ...(isJson(answer) ? [] : ["no JSON"]),
      ...(keys(body) === "status,progress,error" ? [] : [`members ${keys(body)}`]),
      ...(body?.status === "failed" && body?.progress === 0 ? [] : ["is no failure"]),
      ...(isText(body?.error) ? [] : ["no message"]),
    ];
  },
  names: ({ body }, field) => body.error.includes(`'${field}'`),
};

const abstractcore: Shape = {
  problems({ headers, body }) {
    const type = headers.get("content-type");
    const [, data = ""] = /^data: (\{.*\})\n\n$/.exec(String(body)) ?? [];
    const event = data === "" ? undefined : JSON.parse(data);
    return [
      ...(type?.startsWith("text/event-stream") ? [] : [`type ${type}`]),
      ...(keys(event) === "error" && isText(event.error) ? [] : [`event ${body}`]),
    ];
  },
  names: ({ body }, field) => String(body).includes(`'${field}'`),
};

/** The shape of each family, by the tag that its operations have in the OpenAPI document. */
export const SHAPES: Record<string, Shape> = {
  downloads: kolosal,
  engines: kolosal,
  models: kolosal,
  history: kolosal,
  live: kolosal,
  settings: kolosal,
  hub: kolosal,
  files: kolosal,
  session: kolosal,
  service: kolosal,
  local,
  wingman,
  abstractcore,
};

/** What lies outside every family (A19). */
export const ELSEWHERE = kolosal;
