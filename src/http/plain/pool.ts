import type { Connection } from "./connection.ts";

/** Servers commonly close at 60 s or earlier; a connection found closed costs one silent retry (F62). */
const IDLE_MS = 30_000;
const MOST_IDLE = 256;

interface Idle {
  connection: Connection;
  key: string;
  timer: Timer;
}

/** Connections between two requests, by the address they lead to. */
export class Pool {
  private readonly idle = new Map<string, Idle[]>();
  private count = 0;
  private closed = false;

  /** The one used last, which the server is least likely to have closed. */
  take(key: string): Connection | undefined {
    const one = this.idle.get(key)?.at(-1);
    if (!one) return undefined;
    this.drop(one);
    one.connection.holdProcess(true);
    return one.connection;
  }

  keep(key: string, connection: Connection): void {
    if (this.closed || !connection.isQuiet || this.count >= MOST_IDLE) {
      connection.close();
      return;
    }
    connection.holdProcess(false);
    const end = () => {
      this.drop(entry);
      connection.close();
    };
    const entry: Idle = { connection, key, timer: setTimeout(end, IDLE_MS) };
    entry.timer.unref();
    // Whatever comes now was not asked for, or is its end.
    connection.onIdleEvent = end;
    const list = this.idle.get(key);
    if (list) list.push(entry);
    else this.idle.set(key, [entry]);
    this.count++;
  }

  close(): void {
    this.closed = true;
    for (const list of [...this.idle.values()])
      for (const one of [...list]) {
        this.drop(one);
        one.connection.close();
      }
  }

  private drop(entry: Idle): void {
    const list = this.idle.get(entry.key);
    const at = list?.indexOf(entry) ?? -1;
    if (!list || at < 0) return;
    clearTimeout(entry.timer);
    entry.connection.onIdleEvent = undefined;
    list.splice(at, 1);
    if (list.length === 0) this.idle.delete(entry.key);
    this.count--;
  }
}
