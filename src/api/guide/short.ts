import { type Row, sectionOf, summaryOf, tableOf } from "./markdown.ts";

export const FULL_PATH = "/llms-full.txt";

const NOTES = `Paths are those of this server.

- Start: POST /v1/downloads with JSON {"url": "…"}, {"repo_id": "owner/name", "filename": "file.gguf"} or {"provider": "…", "model": "…"}; answers 202 with the download.
- Watch: GET /v1/downloads/{id}, or GET /v1/events (server-sent events: snapshot, download, removed), or the WebSocket GET /v1/ws.
- Control: POST /v1/downloads/{id}/pause, POST /v1/downloads/{id}/resume, POST /v1/downloads/{id}/cancel, POST /v1/downloads/{id}/retry.
- An id is the model_id or the UUID; percent-encode it in a path, slashes as %2F.
- Errors are {"error": {"message", "type", "param", "code"}}; a failed download has error_code and error_message.
- With an API key send Authorization: Bearer KEY or X-API-Key: KEY; streams also take ?ticket= from POST /v1/tickets. This file, /health and the page need none.`;

/**
 * `/llms.txt` in the form of llmstxt.org: title, summary, notes without headings, then lists of links. Families and
 * providers are those of the README's tables.
 */
export function shortGuide(readme: string): string {
  const families = tableOf(sectionOf(readme, "You have a client"));
  const providers = tableOf(sectionOf(readme, "Providers"));
  const sections = [
    list("Families of the API", families.map(familyLink)),
    list("Providers", providers.map(providerLink)),
    list("Documents", [
      `[Guide](${FULL_PATH}): everything in one file: commands, families, providers, options, limits, each route`,
      "[OpenAPI](/openapi.json): every route with its schemas",
      "[AsyncAPI](/asyncapi.json): the live streams: server-sent events and the WebSocket's frames",
    ]),
    list("Optional", [
      "[Swagger](/swagger): the routes to click through",
      "[Metrics](/metrics): numbers for Prometheus",
    ]),
  ];
  return [`# modelhaul`, `> ${summaryOf(readme)}`, NOTES, ...sections].join("\n\n").concat("\n");
}

const list = (heading: string, links: readonly string[]): string =>
  [`## ${heading}`, "", ...links.map((link) => `- ${link}`)].join("\n");

/** Its first cell is a link to a section of the page, which here is one of the full guide. */
function familyLink(row: Row): string {
  const [first = "", ...rest] = Object.values(row);
  const [, link = first, behind = ""] = /^(\[[^\]]+\]\(#[^)]+\))(.*)$/.exec(first) ?? [];
  return `${link.replace("(#", `(${FULL_PATH}#`)}: ${[behind.replace(/^[,:]?\s*/, ""), ...rest].filter(Boolean).join("; ")}`;
}

function providerLink(row: Row): string {
  const [first = "", ...rest] = Object.values(row);
  return `[${first.replaceAll("`", "")}](${FULL_PATH}#providers): ${rest.filter(Boolean).join("; ")}`;
}
