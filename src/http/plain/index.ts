import type { Address } from "../addresses.ts";
import { portOf } from "../addresses.ts";
import type { Answer, Hop } from "../exchange.ts";
import { type Connect, Connection } from "./connection.ts";
import { contentOf } from "./content.ts";
import { readHead } from "./head.ts";
import { Pool } from "./pool.ts";

/**
 * HTTP/1.1 without TLS, for GET and HEAD (RFC 9112). The runtime's own `fetch` copies every byte twice more and wakes
 * another thread for each piece; measured over loopback this takes half of its processor time.
 */
export interface PlainHttp {
  /** Sends the request to that address and waits for the head. Rejects with DownloadError, or the signal's reason. */
  ask(hop: Hop, address: Address, signal: AbortSignal): Promise<Answer>;
  /** Closes idle connections. */
  close(): void;
}

export function createPlainHttp(connect: Connect): PlainHttp {
  const pool = new Pool();
  return {
    async ask(hop, address, signal) {
      // By name as well: one host's connection never carries what was asked of another one.
      const key = `${hop.url.host} ${address.address} ${portOf(hop.url)}`;
      for (let kept = pool.take(key); kept; kept = pool.take(key)) {
        try {
          return await converse(kept, hop, signal, key, pool);
        } catch (error) {
          // Closed by the server just before it was used: nothing was heard, so nothing is lost (F62).
          if (kept.heard || signal.aborted) throw error;
        }
      }
      const { connectTimeoutMs, url } = hop;
      const fresh = await Connection.open(address, portOf(url), url.host, connectTimeoutMs, signal, connect);
      return converse(fresh, hop, signal, key, pool);
    },
    close: () => pool.close(),
  };
}

async function converse(
  connection: Connection,
  hop: Hop,
  signal: AbortSignal,
  key: string,
  pool: Pool,
): Promise<Answer> {
  const { host } = hop.url;
  const abort = () => connection.close(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  const leave = () => signal.removeEventListener("abort", abort);
  try {
    signal.throwIfAborted();
    connection.send(requestText(hop));
    const { status, headers, framing, persistent } = await readHead(connection, host, hop.method);
    const complete = () => {
      leave();
      if (persistent) pool.keep(key, connection);
      else connection.close();
    };
    if (framing.kind === "none") {
      complete();
      return { status, headers, read: undefined };
    }
    const content = contentOf(connection, framing, host, complete);
    const read = async () => {
      try {
        return await content();
      } catch (error) {
        leave();
        connection.close(error);
        throw error;
      }
    };
    return { status, headers, read };
  } catch (error) {
    leave();
    connection.close(error);
    throw error;
  }
}

/** Method, path and fields have been checked; what of the path is not ASCII has been encoded by `URL`. */
function requestText({ url, method, headers }: Hop): Uint8Array {
  const lines = [`${method} ${url.pathname}${url.search} HTTP/1.1`, `Host: ${url.host}`];
  for (const [name, value] of headers) if (name !== "host") lines.push(`${name}: ${value}`);
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
}
