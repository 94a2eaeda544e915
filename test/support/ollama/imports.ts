import type { IncomingMessage, ServerResponse } from "node:http";
import { fullName, type InstalledModel, sha256 } from "./models.ts";
import type { OllamaLayer } from "./pull.ts";

/** What `/api/create` and `/api/blobs` work with. */
export interface ImportWorld {
  /** Uploaded blobs by digest (`sha256:…`). */
  uploads: Map<string, Uint8Array>;
  installed: Map<string, InstalledModel>;
  /** Texts that the next creations fail with, as a line after the 200. */
  createErrors: string[];
  /** Wait of each step of a creation. */
  stepMs: number;
  changed(): void;
}

const DIGEST = /^sha256[:-][0-9a-f]{64}$/;

/** `HEAD` and `POST /api/blobs/:digest` (protocols/ollama.md §4). */
export async function blobs(
  world: ImportWorld,
  request: IncomingMessage,
  answer: ServerResponse,
  name: string,
): Promise<void> {
  const digest = name.replace("sha256-", "sha256:");
  if (!DIGEST.test(name)) return refuse(answer, 400, `invalid digest format`);
  const known = world.uploads.has(digest);
  if (request.method === "HEAD") return void answer.writeHead(known ? 200 : 404).end();
  if (request.method !== "POST") return refuse(answer, 405, "method not allowed");
  const parts: Uint8Array[] = [];
  for await (const part of request) parts.push(part as Uint8Array);
  if (known) return void answer.writeHead(200).end();
  const bytes = Buffer.concat(parts);
  const got = `sha256:${sha256(bytes)}`;
  if (got !== digest) return refuse(answer, 400, `digest mismatch, expected "${digest}", got "${got}"`);
  world.uploads.set(digest, bytes);
  world.changed();
  answer.writeHead(201).end();
}

/** `POST /api/create` with `files`: a model out of uploaded blobs. */
export async function create(
  world: ImportWorld,
  body: Record<string, unknown>,
  answer: ServerResponse,
): Promise<void> {
  const name = body.model ?? body.name;
  if (typeof name !== "string" || name === "") return refuse(answer, 400, "invalid model name");
  const files = Object.entries((body.files ?? {}) as Record<string, string>);
  if (files.length === 0 && body.from === undefined)
    return refuse(answer, 400, "neither 'from' or 'files' was specified");
  for (const [path, digest] of files) {
    if (path.startsWith("/") || path.split("/").includes(".."))
      return refuse(answer, 400, "invalid file path");
    if (!world.uploads.has(digest)) return refuse(answer, 400, `blob ${digest} does not exist`);
  }
  const stream = body.stream !== false;
  if (stream) answer.writeHead(200, { "content-type": "application/x-ndjson" });
  const say = async (line: object): Promise<void> => {
    if (stream) answer.write(`${JSON.stringify(line)}\n`);
    await Bun.sleep(world.stepMs);
  };
  await say({ status: "parsing GGUF" });
  const error = world.createErrors.shift() ?? notGguf(world, files);
  if (error !== undefined)
    return stream ? void answer.end(`${JSON.stringify({ error })}\n`) : refuse(answer, 500, error);
  // The daemon writes the file anew: its layer has a digest of its own (protocols/ollama.md §4).
  const layers = files.map(([, digest]) => layerOf(digest, world.uploads.get(digest)!.length));
  for (const layer of layers) await say({ status: `creating new layer ${layer.digest}` });
  await say({ status: "writing manifest" });
  if (answer.destroyed) return;
  world.installed.set(fullName(name), { layers, created: body, modifiedAt: new Date().toISOString() });
  world.changed();
  if (stream) answer.end(`${JSON.stringify({ status: "success" })}\n`);
  else reply(answer, 200, { status: "success" });
}

const layerOf = (digest: string, size: number): OllamaLayer => ({
  digest: `sha256:${sha256(`rewritten ${digest}`)}`,
  size,
});

function notGguf(world: ImportWorld, files: readonly [string, string][]): string | undefined {
  const isGguf = ([path, digest]: [string, string]): boolean =>
    path.endsWith(".safetensors") ||
    Buffer.from(world.uploads.get(digest)!.subarray(0, 4)).toString("latin1") === "GGUF";
  return files.every(isGguf) ? undefined : "unknown type";
}

export function reply(answer: ServerResponse, status: number, body: unknown): void {
  answer.writeHead(status, { "content-type": "application/json; charset=utf-8" }).end(JSON.stringify(body));
}

export const refuse = (answer: ServerResponse, status: number, error: string): void =>
  reply(answer, status, { error });
