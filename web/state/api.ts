/** Every request of the monitor goes through here, so that a lock (401) is seen wherever it is met. */
import { signal } from "@preact/signals";
import { ConnectionError, Modelhaul, ModelhaulError } from "../../src/client/index.ts";
import { Transport } from "../../src/client/transport.ts";
import { hasSession } from "./session.ts";

/** The server's refusal: what failed and what to do, in its words. */
export { ConnectionError, ModelhaulError as ApiError };

/** The server wants its key first: the login is shown instead of the views. */
export const locked = signal(false);

const LOGIN = "/v1/session";

/** Sees each answer. */
export async function seenFetch(url: string, init?: RequestInit): Promise<Response> {
  const answer = await fetch(url, init);
  if (answer.status === 401 && url !== LOGIN) lock();
  return answer;
}

function lock(): void {
  hasSession.value = false;
  locked.value = true;
}

const options = { baseUrl: "", fetch: seenFetch };

/** The server of this page. Its methods throw `ApiError` and `ConnectionError`. */
export const server = new Modelhaul(options);
const transport = new Transport(options);

export type Method = "GET" | "POST" | "PATCH" | "DELETE";

/** Any route; what changes something may take its time. Answers the body, throws as `server` does. */
export function request<T>(
  method: Method,
  path: string,
  body?: object,
  headers: Record<string, string> = {},
): Promise<T> {
  const patience = method === "GET" ? {} : { timeoutMs: 0 };
  return transport.json<T>(method, path, { headers, ...patience, ...(body && { body }) });
}
