/** Every request of the monitor goes through here, so that a lock (401) is seen wherever it is met. */
import { signal } from "@preact/signals";

/** The server's refusal: what failed and what to do, in its words. `status` 0: it was not reached. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string | null = null,
    readonly param: string | null = null,
  ) {
    super(message);
  }
}

/** The server wants its key first: the login is shown instead of the views. */
export const locked = signal(false);

export type Method = "GET" | "POST" | "PATCH" | "DELETE";

/** Answers the body. Throws `ApiError`. */
export async function request<T>(
  method: Method,
  path: string,
  body?: object,
  headers: Record<string, string> = {},
): Promise<T> {
  const answer = await fetch(path, {
    method,
    headers: body === undefined ? headers : { ...headers, "Content-Type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }).catch(() => {
    throw new ApiError("The server does not answer. The page tries again by itself.", 0);
  });
  const data = await answer.json().catch(() => ({}));
  if (answer.ok) return data as T;
  if (answer.status === 401 && path !== "/v1/session") locked.value = true;
  const { message, code, param } = data.error ?? {};
  throw new ApiError(message ?? `The server answered ${answer.status}.`, answer.status, code, param);
}
