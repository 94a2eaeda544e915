import type { Broadcast } from "./broadcast.ts";
import type { ApiContext } from "./family.ts";

/** What a live stream is given, whichever family speaks on it. */
export interface Seat {
  broadcast: Broadcast;
  /** Monotonic milliseconds. */
  now: () => number;
  /** Session it was opened by, if any. */
  owner: string | null;
  /** Ends the connection soon, whatever the other side still has to take. */
  expire: () => void;
}

export function seatOf({ broadcast, clock, exchange }: ApiContext, request: Request): Seat {
  const { access, expire } = exchange(request);
  return { broadcast, now: () => clock.monotonic(), owner: access.owner, expire };
}
