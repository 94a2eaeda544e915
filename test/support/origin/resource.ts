import { createHash } from "node:crypto";
import { type Content, generated, slice } from "../bytes.ts";
import { type Answer, newAnswer } from "./answer.ts";
import { askedRange, type HeaderList, type WireRequest } from "./request.ts";

/** What lies under a path. Plain data, unless `content` is given, so that it can cross a process border. */
export interface Resource {
  /** Decoded, without query: `/a b.bin`. */
  path: string;
  /** Content made from a seed … */
  seed?: number;
  size?: number;
  /** … or any other. */
  content?: Content;
  /** As it stands in the header, quotes and `W/` included. Default: a strong one from seed and size. Null: none. */
  etag?: string | null;
  /** An HTTP date. Default: none. */
  lastModified?: string | null;
  /** Default `application/octet-stream`. */
  contentType?: string;
  /** More headers of every answer that carries the content. */
  headers?: Record<string, string>;
  /** False: ranges are neither claimed nor honoured. Default true. */
  ranges?: boolean;
  /** Only links made by `origin.sign` open it; others get `expiredStatus`. */
  signed?: boolean;
  /** Default 403. */
  expiredStatus?: number;
  /** Variants behind one name: connection number modulo length picks one (F28, F70). */
  replicas?: Partial<Omit<Resource, "path" | "replicas">>[];
}

/** A resource as one request sees it, with everything filled in. Faults edit it before the answer is made. */
export interface View {
  content: Content;
  etag: string | null;
  lastModified: string | null;
  contentType: string;
  headers: HeaderList;
  claimsRanges: boolean;
  honoursRanges: boolean;
  /** Added to start and end of what is served in place of what was asked. */
  shiftStart: number;
  shiftEnd: number;
}

export function viewOf(resource: Resource, connection: number): View {
  const replica = resource.replicas?.[connection % resource.replicas.length];
  const it = { ...resource, ...replica };
  const content = it.content ?? generated(it.seed ?? 0, it.size ?? 0);
  const ranges = it.ranges ?? true;
  return {
    content,
    etag: it.etag === undefined ? defaultEtag(it) : it.etag,
    lastModified: it.lastModified ?? null,
    contentType: it.contentType ?? "application/octet-stream",
    headers: Object.entries(it.headers ?? {}),
    claimsRanges: ranges,
    honoursRanges: ranges,
    shiftStart: 0,
    shiftEnd: 0,
  };
}

function defaultEtag(resource: Resource): string {
  const mark = `${resource.path} ${resource.seed ?? 0} ${resource.content?.size ?? resource.size ?? 0}`;
  return `"${createHash("md5").update(mark).digest("hex")}"`;
}

/** RFC 9110 §13.1.5: an entity tag that is weak or differs, or a date that differs, makes the server ignore Range. */
function ifRangeHolds(request: WireRequest, view: View): boolean {
  const condition = request.headers["if-range"];
  if (condition === undefined) return true;
  return condition.startsWith('"') ? condition === view.etag : condition === view.lastModified;
}

type Window = { start: number; end: number } | "unsatisfiable" | undefined;

function windowOf(request: WireRequest, view: View): Window {
  const asked = askedRange(request);
  if (!asked || !view.honoursRanges || request.method !== "GET" || !ifRangeHolds(request, view))
    return undefined;
  const size = view.content.size;
  const first = "suffix" in asked ? Math.max(0, size - asked.suffix) : asked.start;
  const last = "suffix" in asked ? size - 1 : Math.min(asked.end ?? size - 1, size - 1);
  if (first >= size || ("suffix" in asked && asked.suffix === 0)) return "unsatisfiable";
  const clamp = (at: number): number => Math.max(0, Math.min(at, size - 1));
  const start = clamp(first + view.shiftStart);
  return { start, end: Math.max(start, clamp(last + view.shiftEnd)) };
}

/** The correct answer of RFC 9110 to GET and HEAD: 200, 206, 416 or 405. Conditions other than If-Range are ignored. */
export function honestAnswer(request: WireRequest, view: View): Answer {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return newAnswer(405, [["Allow", "GET, HEAD"]], "method not allowed\n");
  }
  const headers: HeaderList = [["Date", new Date().toUTCString()]];
  if (view.claimsRanges) headers.push(["Accept-Ranges", "bytes"]);
  if (view.etag !== null) headers.push(["ETag", view.etag]);
  if (view.lastModified !== null) headers.push(["Last-Modified", view.lastModified]);
  headers.push(...view.headers);
  const size = view.content.size;
  const window = windowOf(request, view);
  if (window === "unsatisfiable") {
    return newAnswer(416, [...headers, ["Content-Range", `bytes */${size}`]], "range not satisfiable\n");
  }
  headers.unshift(["Content-Type", view.contentType]);
  if (window === undefined) return newAnswer(200, headers, view.content);
  const { start, end } = window;
  headers.push(["Content-Range", `bytes ${start}-${end}/${size}`]);
  return newAnswer(206, headers, slice(view.content, start, end - start + 1));
}
