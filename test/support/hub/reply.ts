import { createHash, randomUUID } from "node:crypto";
import type { Reply } from "../origin.ts";
import type { Refusal } from "./access.ts";

export type Headers = [name: string, value: string][];

/** Where an error is shown decides its shape: JSON under `/api/`, text for files, HTML on pages. */
export type Surface = "api" | "file" | "page";

/** Compact JSON with the weak validator that Express makes. */
export function json(value: unknown, headers: Headers = []): Reply {
  const body = JSON.stringify(value);
  const mark = createHash("sha1").update(body).digest("base64").slice(0, 27);
  const etag = `W/"${Buffer.byteLength(body).toString(16)}-${mark}"`;
  return {
    status: 200,
    headers: [["Content-Type", "application/json; charset=utf-8"], ["ETag", etag], ...headers],
    body,
  };
}

export function plain(status: number, body: string, headers: Headers = []): Reply {
  return { status, headers: [["Content-Type", "text/plain; charset=utf-8"], ...headers], body };
}

const BODIES: Record<Surface, (message: string) => [type: string, body: string]> = {
  api: (message) => ["application/json; charset=utf-8", JSON.stringify({ error: message })],
  file: (message) => ["text/plain; charset=utf-8", message],
  page: (message) => ["text/html; charset=utf-8", `<!doctype html><title>Error</title><h1>${message}</h1>\n`],
};

/** An error as protocols/huggingface.md §6 has it. */
export function refuse({ status, code, message }: Refusal, surface: Surface, headers: Headers = []): Reply {
  const [type, body] = BODIES[surface](message);
  const own: Headers = [
    ["Content-Type", type],
    ["X-Error-Message", message],
  ];
  if (code) own.push(["X-Error-Code", code]);
  if (status === 401)
    own.push(["WWW-Authenticate", 'Bearer realm="Authentication required", charset="UTF-8"']);
  return { status, headers: [...own, ...headers], body };
}

/** The reply with more headers; `X-Request-Id` comes by itself. */
export function withHeaders(reply: Reply, headers: Headers): Reply {
  const more: Headers = [["X-Request-Id", `Root=1-${randomUUID()}`], ...headers];
  if ("status" in reply) return { ...reply, headers: [...(reply.headers ?? []), ...more] };
  return {
    resource: { ...reply.resource, headers: { ...reply.resource.headers, ...Object.fromEntries(more) } },
  };
}
