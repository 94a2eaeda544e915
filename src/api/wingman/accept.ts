export type Form = "json" | "events";

const MEDIA: Record<Form, string> = { json: "application/json", events: "text/event-stream" };

/**
 * The form an Accept header names (RFC 9110 §12.5.1); undefined when it names neither, and for ranges such as `*``/*`
 * that fit both. Of two named ones the one of higher quality counts, else the one named first.
 */
export function namedForm(accept: string | null): Form | undefined {
  const named = (accept ?? "").split(",").flatMap((item) => {
    const [type = "", ...parameters] = item.split(";").map((part) => part.trim().toLowerCase());
    const form = (["json", "events"] as const).find((one) => covers(type, MEDIA[one]));
    const quality = quality0to1(parameters);
    return form !== undefined && quality > 0 ? [{ form, quality }] : [];
  });
  return named.sort((a, b) => b.quality - a.quality)[0]?.form;
}

const covers = (range: string, type: string): boolean =>
  range === type || (range.endsWith("/*") && range !== "*/*" && type.startsWith(range.slice(0, -1)));

function quality0to1(parameters: readonly string[]): number {
  const text = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
  const quality = text === undefined ? 1 : Number(text);
  return Number.isFinite(quality) ? quality : 0;
}
