import { expect, test } from "bun:test";
import { Asked, failure, type NetworkSubject, type SourceSubject } from "./source.ts";

export function networkOf({ network }: SourceSubject): NetworkSubject {
  if (!network) throw new Error("this part of the suite needs the servers of the subject");
  return network;
}

/** What every source owes that leads to bytes on servers; the last test leaves them closed for some seconds. */
export function networkConformance(subject: () => SourceSubject): void {
  test("F35 F36 nothing secret reaches another origin, and the source's own does get the token", async () => {
    const it = subject();
    const { origin, strangers, elsewhere } = networkOf(it);
    const asked = new Asked(it, elsewhere);
    const { files } = await asked.resolve();
    expect((await asked.fetch(files[0]!)).status).toBe(200);
    const seen = JSON.stringify(strangers.flatMap(({ log }) => log));
    expect(strangers.every(({ log }) => log.length > 0)).toBe(true);
    for (const secret of it.secrets) expect(seen).not.toContain(secret);
    expect(JSON.stringify(origin.log)).toContain(elsewhere.token ?? "no token given");
  });

  test("an aborted signal ends resolve in the middle, with its own reason", async () => {
    const it = subject();
    const { origin, middle } = networkOf(it);
    const stop = new AbortController();
    const reason = new Error("enough");
    const rule = origin.on({ nth: middle }, { kind: "stall", at: "start" });
    // Bun's `rejects` does not go on until the promise is settled.
    const ended = new Asked(it, it.one).resolve(stop.signal).catch((error) => error);
    await origin.waitFor(() => rule.hits === 1, "a request in the middle of resolving");
    stop.abort(reason);
    expect(await ended).toBe(reason);
    rule.release();
    rule.remove();
  });

  test("F45 a server that wants fewer requests is asked again after the time it names", async () => {
    const it = subject();
    networkOf(it).limit(7);
    const error = await failure(() => new Asked(it, it.one).resolve());
    expect([error.code, error.verdict]).toEqual(["rate_limited", "retry"]);
    expect(error.retryAfterMs).toBeGreaterThan(3_000);
    expect(error.retryAfterMs).toBeLessThan(10_000);
  });
}
