/** Where the reader is, kept in the hash of the address: `#/models`, `#/add?repo=org/name`. */
import { computed, type ReadonlySignal, signal } from "@preact/signals";

export const VIEWS = ["downloads", "models", "engines", "settings", "add"] as const;
export type View = (typeof VIEWS)[number];

export interface Route {
  view: View;
  params: URLSearchParams;
}

const hash = signal(globalThis.location?.hash ?? "");

export const route: ReadonlySignal<Route> = computed(() => parseRoute(hash.value));

/** What is no view of ours is the list of downloads. */
export function parseRoute(text: string): Route {
  const [, name = "", query = ""] = /^#?\/?([^?]*)\??(.*)$/s.exec(text) ?? [];
  const view = VIEWS.find((known) => known === name) ?? "downloads";
  return { view, params: new URLSearchParams(query) };
}

/** Address of a view, for links. */
export function href(view: View, params: Record<string, string> = {}): string {
  const query = new URLSearchParams(params).toString();
  return `#/${view}${query === "" ? "" : `?${query}`}`;
}

export function go(view: View, params: Record<string, string> = {}): void {
  location.hash = href(view, params);
}

/** Call once. */
export function followRoute(): void {
  addEventListener("hashchange", () => {
    hash.value = location.hash;
  });
}
