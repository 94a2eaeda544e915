/** What an element's attributes ask for. */
import type { Words } from "./words.ts";

/** Attributes of the element and what they are called in a request. */
const SOURCE: Record<string, string> = {
  repo: "repo_id",
  file: "filename",
  revision: "revision",
  url: "url",
  sha256: "sha256",
  provider: "provider",
  model: "model",
};

export const ATTRIBUTES = Object.keys(SOURCE);

/** An empty attribute is what frameworks leave of a value they do not have: it asks for nothing. */
export function requestOf(element: Element): Record<string, string> {
  const given = Object.entries(SOURCE).map(([name, field]) => [field, element.getAttribute(name)]);
  return Object.fromEntries(given.filter(([, value]) => value));
}

/** What is wrong with a request whatever the service says, in words of the attributes; empty if nothing is. */
export function flawOf(request: Record<string, string>, words: Words): string {
  const { url, repo_id: repo, provider, model, sha256 = "" } = request;
  if (!url && !repo && !(provider && model)) return words.nothing;
  return /^((sha256:)?[\da-f]{64})?$/i.test(sha256) ? "" : words.digest;
}

/** A refusal that names fields of a request, with the attributes' names in their place. */
export function inAttributes(message: string): string {
  return Object.entries(SOURCE).reduce(
    (text, [name, field]) => text.replaceAll(`'${field}'`, `'${name}'`),
    message,
  );
}
