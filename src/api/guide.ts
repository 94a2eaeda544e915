import { Type } from "@sinclair/typebox";
import { operation } from "./doc.ts";
import { refuseKolosal } from "./envelope.ts";
import { type Family, newRoutes } from "./family.ts";
import { summaryOf, withoutFileLinks } from "./guide/markdown.ts";
import { type Described, reference } from "./guide/reference.ts";
import { FULL_PATH, shortGuide } from "./guide/short.ts";
import type { OpenApi } from "./openapi.ts";
import { text } from "./reply.ts";

const SHORT_PATH = "/llms.txt";
/** Read without a key, as the page is: they say what modelhaul is, and nothing of what it holds. */
export const GUIDE_PATHS: ReadonlySet<string> = new Set([SHORT_PATH, FULL_PATH]);

/** `/llms.txt` and `/llms-full.txt` (R186b), made of the README and the OpenAPI document, so that they agree with both. */
export function guideFamily(readme: string, openApi: OpenApi): Family {
  const short = shortGuide(readme);
  let full: Promise<string> | undefined;
  const routes = newRoutes()
    .get(SHORT_PATH, () => text(short, "text/plain; charset=utf-8"), guide("getGuide", "Where to read what"))
    .get(
      FULL_PATH,
      async () => {
        full ??= openApi.text().then((document) => fullGuide(readme, JSON.parse(document)));
        return text(await full, "text/plain; charset=utf-8");
      },
      guide("getFullGuide", "Everything in one file"),
    );
  return { name: "guide", prefixes: [], routes, refuse: refuseKolosal };
}

const guide = (id: string, what: string) =>
  operation({
    id,
    tag: "service",
    summary: `A guide for language models: ${what.toLowerCase()}`,
    answers: { 200: { description: "Markdown", type: "text/plain", schema: Type.String() } },
    open: true,
  });

/** Title and summary as in the short one, the README's sections as they are, then every route. */
export function fullGuide(readme: string, document: Described): string {
  const [title = "", , ...sections] = withoutFileLinks(readme).trim().split("\n\n");
  return [title, `> ${summaryOf(readme)}`, ...sections, "## Routes", reference(document)]
    .join("\n\n")
    .concat("\n");
}
