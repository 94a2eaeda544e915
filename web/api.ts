import type { present } from "../src/api/downloads/present.ts";

/** The native API's object of one download. */
export type Download = ReturnType<typeof present>;
export type Verb = "pause" | "resume" | "cancel" | "retry";

/** The daemon wants its API key first. */
export class KeyNeeded extends Error {}

async function call(method: "GET" | "POST", path: string, body?: object): Promise<unknown> {
  const headers = { "Content-Type": "application/json" };
  const text = body === undefined ? {} : { body: JSON.stringify(body), headers };
  const answer = await fetch(path, { method, ...text });
  const data = await answer.json().catch(() => ({}));
  if (answer.status === 401 && path !== "/v1/session") throw new KeyNeeded("This server wants an API key.");
  if (!answer.ok) throw new Error(data.error?.message ?? `The server answered ${answer.status}.`);
  return data;
}

/** What is going on, and what failed or was cancelled and may be tried again. */
export async function list(): Promise<Download[]> {
  const data = await call("GET", "/v1/downloads?state=active,failed,cancelled&limit=1000");
  return (data as { active_downloads: Download[] }).active_downloads;
}

export const control = (id: string, verb: Verb): Promise<unknown> =>
  call("POST", `/v1/downloads/${encodeURIComponent(id)}/${verb}`);

export const login = (key: string): Promise<unknown> => call("POST", "/v1/session", { key });

/** A URL, `ollama:name`, `mlx:org/name`, or a hub repository with or without a file. */
export function start(what: string, file: string): Promise<unknown> {
  const [, provider, model] = /^(ollama|mlx):(.+)$/.exec(what) ?? [];
  const source = /^https?:\/\//i.test(what)
    ? { url: what }
    : provider !== undefined
      ? { provider, model }
      : { repo_id: what.replace(/^hf:/, "") };
  return call("POST", "/v1/downloads", { ...source, ...(file === "" ? {} : { filename: file }) });
}
