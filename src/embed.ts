/** The download button for other people's pages: `/embed.js`, and `/embed`, a page that uses it (R164). */
import { join } from "node:path";
import css from "../web/embed/example.css" with { type: "text" };
import page from "../web/embed/index.html" with { type: "text" };
import icon from "../web/icon.svg" with { type: "text" };

/** Set by build.ts; from source the script is built at start. */
declare const EMBED_SCRIPT: string | undefined;

export interface EmbedFile {
  path: string;
  type: string;
  text: string;
  /** Any page of any origin may load it. */
  isPublic?: boolean;
}

/** The script as one classic script that leaves nothing behind in the page but the element. */
export async function bundleEmbed(): Promise<string> {
  const result = await Bun.build({
    entrypoints: [join(import.meta.dir, "../web/embed/embed.ts")],
    minify: true,
    format: "iife",
  });
  const [script] = result.outputs;
  if (script === undefined) throw new Error("the download button could not be built");
  return script.text();
}

export async function embedFiles(): Promise<EmbedFile[]> {
  const script = typeof EMBED_SCRIPT === "string" ? EMBED_SCRIPT : await bundleEmbed();
  const html = { path: "/embed", type: "text/html; charset=utf-8", text: page as unknown as string };
  return [
    { path: "/embed.js", type: "text/javascript; charset=utf-8", text: script, isPublic: true },
    html,
    { ...html, path: "/embed.html" },
    { path: "/embed.css", type: "text/css; charset=utf-8", text: css },
    { path: "/icon.svg", type: "image/svg+xml", text: icon },
  ];
}
