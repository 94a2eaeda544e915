import type { Clock, HttpRequest, HttpResponse, Log } from "../../src/core/ports.ts";
import { parseRemoteUrl } from "../../src/core/remote-url.ts";
import { createHttp, type HttpClient, type HttpOptions } from "../../src/http/index.ts";

export const clock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms) => Bun.sleep(ms),
};
export const log: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** Takes URLs as somebody wrote them, and checks them first as everybody has to. */
export interface TestClient extends HttpClient {
  request(request: Omit<HttpRequest, "url"> & { url: string }): Promise<HttpResponse>;
}

/** A client that may ask this machine, unless told otherwise. */
export function client(options: Partial<HttpOptions> = {}): TestClient {
  const http = createHttp({
    userAgent: "modelhaul-test/1",
    allowPrivate: true,
    allowAddresses: [],
    clock,
    log,
    ...options,
  });
  const request: TestClient["request"] = async ({ url, ...rest }) =>
    http.request({ ...rest, url: parseRemoteUrl(url) });
  return { ...http, request };
}

/** A resolver that knows just these names. */
export function resolverOf(names: Record<string, string[]>): NonNullable<HttpOptions["resolver"]> {
  return async (host) => {
    const addresses = names[host];
    if (!addresses) throw Object.assign(new Error("no such name"), { code: "ENOTFOUND" });
    return addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
  };
}

/** The body's bytes, and their number of chunks. */
export async function drain(response: { read(): Promise<Uint8Array | null> }): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (let chunk = await response.read(); chunk !== null; chunk = await response.read()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The error a promise rejects with; fails when it does not reject. */
export async function failure(
  promise: Promise<unknown>,
): Promise<{ code?: string; message: string; cause?: unknown }> {
  try {
    await promise;
  } catch (error) {
    return error as { code?: string; message: string };
  }
  throw new Error("expected a rejection");
}
