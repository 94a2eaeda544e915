import type { Transport } from "./reader.ts";

/** What a crowd can be asked; everything is plain data. */
export interface CrowdCalls {
  /** The server's port, before anything else. */
  at(port: number): void;
  /** Opens readers of a group; resolves when each has been told all there is. */
  open(group: string, transport: Transport, count: number): void;
  /** Readers that take nothing once they have been told what there is. */
  stall(group: string, transport: Transport, count: number): void;
  /** Whether readers come back by themselves when their connection ends. */
  returning(group: string, returns: boolean): void;
  /** Counts from here. */
  begin(group: string): void;
  tell(group: string): Told;
  /** Resolves when every reader of the group has an event with this number or a later one; fails after `timeoutMs`. */
  reached(group: string, seq: number, timeoutMs: number): void;
  /** Readers that know something else than this of the downloads; at most ten. */
  differing(group: string, truth: Record<string, string>): string[];
  /** Stalled readers go on over a new connection each; resolves when all are told what they missed. */
  wake(group: string): void;
  /** Milliseconds from `sent` (epoch) to each reader that saw a download with that priority. */
  delays(sent: Record<number, number>): { count: number; p50: number; p99: number; most: number };
  close(group: string): void;
}

/** Sums over a group. */
export interface Told {
  readers: number;
  open: number;
  /** Connections made beyond the first of each. */
  reconnects: number;
  frames: number;
  heartbeats: number;
  /** Fewest of one reader. */
  fewestHeartbeats: number;
  changes: number;
  /** Readers whose changes are not those of the first one. */
  odd: number;
  /** Changes that do not follow from what was told before. */
  gaps: number;
  seq: number;
  trouble: string;
}

export interface CrowdCall {
  id: number;
  name: keyof CrowdCalls;
  args: unknown[];
}

export interface CrowdResult {
  id: number;
  value?: unknown;
  error?: string;
}
