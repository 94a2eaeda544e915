import { EventClient } from "./event-client.ts";
import type { Body, Served } from "./support.ts";

export const PATH = "/api/models/download";

/** Target of the one route, and the same for the hub. */
export const query = (parameters: Record<string, string>): string =>
  `${PATH}?${new URLSearchParams(parameters)}`;
export const hf = (model: string, more: Record<string, string> = {}): string =>
  query({ provider: "huggingface", model, ...more });

export const listen = (served: Served, target: string, headers: Record<string, string> = {}) =>
  EventClient.open(served.base + target, headers);

/** All events of a stream that ends by itself. */
export async function all(
  served: Served,
  target: string,
  headers: Record<string, string> = {},
): Promise<Body[]> {
  const client = await listen(served, target, headers);
  await client.whenEnded(20_000);
  return client.messages.map(({ data }) => data);
}

/** The word of each event; of the last one its only key. */
export const statuses = (events: Body[]): string[] =>
  events.map((event) => event.status ?? Object.keys(event).join());
/** Each word once where it stands several times in a row. */
export const steps = (events: Body[]): string[] =>
  statuses(events).filter((word, index, words) => word !== words[index - 1]);
