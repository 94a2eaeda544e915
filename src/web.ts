/** The built-in page: embedded in the executable, built from `web/` at start when run from source. */
import { join } from "node:path";
import index from "../web/index.html";
import { type EmbedFile, embedFiles } from "./embed.ts";

export interface WebAssets {
  /** The asset at this path of the URL, `/` for the page; undefined when there is none. */
  lookup(path: string, request?: Request): Response | undefined;
}

interface Asset {
  bytes: Uint8Array<ArrayBuffer>;
  type: string;
  etag: string;
  /** How long a browser may keep it. */
  cache: string;
  /** Pages of other origins may load it. */
  isPublic?: boolean;
  /** Made when it is first asked for. */
  gzipped?: Uint8Array<ArrayBuffer>;
}

/** Below this it is not worth it. */
const LEAST_GZIPPED = 1024;

/** Its name holds the hash of its content. */
const FOREVER = "public, max-age=31536000, immutable";
/** Kept for an hour, and shown for a day longer while the new one is fetched. */
const A_WHILE = "public, max-age=3600, stale-while-revalidate=86400";

/** What a HTML import is inside a compiled executable (DESIGN §6); from source it is empty. */
interface Embedded {
  index: string;
  files: { path: string; headers: { "content-type": string } }[];
}

/** No script, style or connection but our own; nobody may frame the page (F202). */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

export async function createWebAssets(): Promise<WebAssets> {
  const embedded = index as unknown as Partial<Embedded>;
  const files = embedded.files === undefined ? await built() : await fromExecutable(embedded as Embedded);
  const assets = new Map([...files, ...(await embedFiles()).map(fromText)]);
  return {
    lookup(path, request) {
      const asset = assets.get(path);
      return asset && answer(asset, request?.headers ?? new Headers());
    },
  };
}

/** Each encoding is a representation of its own, with its own tag (RFC 9110 §8.8.3.3). */
function answer(asset: Asset, wanted: Headers): Response {
  const isGzip = asset.bytes.length >= LEAST_GZIPPED && takesGzip(wanted.get("accept-encoding"));
  const etag = isGzip ? asset.etag.replace(/"$/, '-gzip"') : asset.etag;
  const headers = { ...headersOf(asset), ETag: etag, ...(isGzip && { "Content-Encoding": "gzip" }) };
  if (wanted.get("if-none-match") === etag) return new Response(null, { status: 304, headers });
  if (isGzip) asset.gzipped ??= Bun.gzipSync(asset.bytes);
  return new Response((isGzip && asset.gzipped) || asset.bytes, { headers });
}

const takesGzip = (accepted: string | null): boolean =>
  (accepted ?? "")
    .split(",")
    .some((one) => /^\s*(gzip|\*)\s*(;|$)/i.test(one) && !/;\s*q=0(\.0*)?\s*$/i.test(one));

function headersOf({ type, cache, isPublic }: Asset): Record<string, string> {
  return {
    "Content-Type": type,
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": cache,
    ...(isPublic && { "Cross-Origin-Resource-Policy": "cross-origin" }),
    Vary: "Accept-Encoding",
  };
}

async function fromExecutable({ index: page, files }: Embedded): Promise<[string, Asset][]> {
  return Promise.all(
    files.map(({ path, headers }) => entry(path, path === page, headers["content-type"], Bun.file(path))),
  );
}

async function built(): Promise<[string, Asset][]> {
  const result = await Bun.build({
    entrypoints: [join(import.meta.dir, "../web/index.html")],
    minify: true,
    splitting: true,
    publicPath: "/",
  });
  return Promise.all(
    result.outputs.map((output) =>
      entry(output.path, output.type.startsWith("text/html"), output.type, output),
    ),
  );
}

async function entry(path: string, isPage: boolean, type: string, content: Blob): Promise<[string, Asset]> {
  const bytes = new Uint8Array(await content.arrayBuffer());
  const name = path.split(/[/\\]/).at(-1);
  return [isPage ? "/" : `/${name}`, asset(bytes, type, isPage ? "no-cache" : FOREVER)];
}

function fromText({ path, type, text, isPublic = false }: EmbedFile): [string, Asset] {
  const bytes = new TextEncoder().encode(text);
  return [path, { ...asset(bytes, type, isPublic ? A_WHILE : "no-cache"), isPublic }];
}

const asset = (bytes: Uint8Array<ArrayBuffer>, type: string, cache: string): Asset => ({
  bytes,
  type,
  etag: `"${Bun.hash(bytes).toString(36)}"`,
  cache,
});
