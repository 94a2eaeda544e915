import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import type { File, SourceRef } from "../../src/core/download.ts";
import { DownloadError, type ErrorCode, VERDICTS } from "../../src/core/errors.ts";
import type { Http, Manifest, Secret, Source, SourceContext, StartRequest } from "../../src/core/ports.ts";
import { log } from "../http/client.ts";
import type { Origin } from "../support/origin.ts";
import { networkConformance } from "./source-network.ts";
import { type RepositorySubject, repositoryConformance } from "./source-repository.ts";

/** A source in front of a real server, and requests that mean something to it. */
export interface SourceSubject {
  source: Source;
  http: Http;
  /** Two ways to ask for the same one file, and its content. */
  one: StartRequest;
  same: StartRequest;
  content: Uint8Array;
  /** Another thing. */
  other: StartRequest;
  /** The same file asked for with secrets, and the texts that must not get out. */
  secret: StartRequest;
  secrets: readonly string[];
  /** Well-formed, but not there. */
  missing: { request: StartRequest; code: ErrorCode };
  /** Refused before anything is asked. */
  invalid: readonly { request: StartRequest; code: ErrorCode }[];
  /** Requests that have reached the servers so far. */
  requests(): number;
  /** For the parts of the suite of these names. */
  network?: NetworkSubject;
  repository?: RepositorySubject;
  /** Takes the servers away. */
  stop(): Promise<void>;
}

/** The servers behind a source, to be misled and listened to. */
export interface NetworkSubject {
  /** The server that the source asks. */
  origin: Origin;
  /** Others that it leads to, whose bytes are not its own: of them `elsewhere` is fetched. */
  strangers: readonly Origin[];
  /** Asked for with the secrets, and brought by a stranger. */
  elsewhere: StartRequest;
  /** Which request of resolving `one` is in the middle of it, from 1. */
  middle: number;
  /** Answers every request with 429 for so many seconds. */
  limit(seconds: number): void;
}

/** Parts of the suite that a source takes beside what all of them do; the subject then has to have them. */
export type Part = "network" | "repository";

export const context = (secret: Secret = {}, signal = new AbortController().signal): SourceContext => ({
  secret,
  signal,
  log,
});

export async function failure(run: () => unknown): Promise<DownloadError> {
  try {
    await run();
  } catch (error) {
    if (error instanceof DownloadError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

/** A request as the runner leads it: parsed, stored, read again, resolved. */
export class Asked {
  readonly ref: SourceRef;
  readonly secret: Secret;

  constructor(
    private readonly it: Pick<SourceSubject, "source" | "http">,
    request: StartRequest,
  ) {
    this.ref = JSON.parse(JSON.stringify(it.source.parse(request)));
    this.secret = it.source.secretOf?.(request) ?? {};
  }

  resolve(signal?: AbortSignal): Promise<Manifest> {
    return this.it.source.resolve(this.ref, context(this.secret, signal));
  }

  /** The bytes that `locate` leads to now. */
  async fetch(file: Pick<File, "path" | "locator">): Promise<{ status: number; url: string; bytes: Buffer }> {
    const asked = await this.it.source.locate(this.ref, file, context(this.secret));
    const response = await this.it.http.request(asked);
    const parts: Uint8Array[] = [];
    for (let part = await response.read(); part; part = await response.read()) parts.push(part);
    return { status: response.status, url: response.url, bytes: Buffer.concat(parts) };
  }
}

/** What every source owes to the manager, the runner and the user. */
export function sourceConformance(
  name: string,
  start: () => Promise<SourceSubject>,
  parts: readonly Part[] = [],
): void {
  describe(`${name}: conformance of a source`, () => {
    let it: SourceSubject;
    beforeAll(async () => {
      it = await start();
    });
    afterAll(() => it.stop());
    test("accepts, parse, secretOf and defaultModelId ask nobody and always say the same", () => {
      const before = it.requests();
      for (const request of [it.one, it.same, it.other, it.secret]) {
        const given = structuredClone(request);
        expect(it.source.accepts(request)).toBe(true);
        const ref = it.source.parse(request);
        expect(it.source.parse(request)).toEqual(ref);
        const kept = it.source.secretOf?.(request);
        expect(it.source.secretOf?.(request) ?? {}).toEqual(kept ?? {});
        expect(it.source.defaultModelId(ref)).not.toBe("");
        expect(request).toEqual(given);
        expect(ref.provider).toBe(it.source.name);
      }
      expect(it.requests()).toBe(before);
    });

    test("F153 equal requests have equal keys, others have others", () => {
      const key = (request: StartRequest) => it.source.parse(request).key;
      expect(key(it.same)).toBe(key(it.one));
      expect(key(it.other)).not.toBe(key(it.one));
    });

    test("F194 the reference holds no secret, secretOf all of them", () => {
      const shown = JSON.stringify(it.source.parse(it.secret));
      const kept = JSON.stringify(it.source.secretOf?.(it.secret));
      for (const secret of it.secrets) {
        expect(shown).not.toContain(secret);
        expect(kept).toContain(secret);
      }
      expect(shown).not.toMatch(/[?#].*(?:sig|token)/i);
    });

    test("F136 F158 invalid requests are refused with their code and field, before anything is asked", async () => {
      const before = it.requests();
      for (const { request, code } of it.invalid) {
        const error = await failure(() => it.source.parse(request));
        expect([JSON.stringify(request), error.code]).toEqual([JSON.stringify(request), code]);
        expect(error.verdict).toBe("final");
      }
      expect(it.requests()).toBe(before);
    });

    test("what resolve promises is what locate leads to, after the row has been stored and read", async () => {
      for (const request of [it.one, it.secret]) {
        const asked = new Asked(it, request);
        const listed = (await asked.resolve()).files;
        // What the listing brought itself is not fetched; it has to be what was listed, too.
        const files = listed.filter((one) => it.source.content?.(one) === undefined);
        for (const brought of listed.filter((one) => !files.includes(one))) {
          const bytes = Buffer.from(it.source.content?.(brought) ?? "");
          expect([brought.size, brought.digest?.hex]).toEqual<unknown>([
            bytes.length,
            digestOf("sha256", bytes),
          ]);
        }
        expect(files).toHaveLength(1);
        const file = files[0]!;
        for (const text of it.secrets) expect(JSON.stringify(files)).not.toContain(text);
        const before = it.requests();
        await it.source.locate(asked.ref, file, context(asked.secret));
        expect(it.requests()).toBe(before);
        const { status, bytes } = await asked.fetch(file);
        expect(status).toBe(200);
        expect(Buffer.compare(bytes, it.content)).toBe(0);
        expect(file.size).toBe(bytes.length);
        if (file.digest) expect(file.digest.hex).toBe<string>(digestOf(file.digest.algorithm, bytes));
      }
    });

    test("what is not there is a typed final error that says what and where", async () => {
      const error = await failure(() => new Asked(it, it.missing.request).resolve());
      expect(error.code).toBe(it.missing.code);
      expect(VERDICTS[error.code]).toBe("final");
      expect(error.message.length).toBeGreaterThan(30);
    });

    test("an aborted signal ends resolve with its own reason", async () => {
      const stop = new AbortController();
      const reason = new Error("enough");
      stop.abort(reason);
      await expect(new Asked(it, it.one).resolve(stop.signal)).rejects.toBe(reason);
    });

    if (parts.includes("repository")) repositoryConformance(() => it);
    if (parts.includes("network")) networkConformance(() => it);

    test("a server that is gone is an error to try again, without secrets", async () => {
      const asked = new Asked(it, it.secret);
      await it.stop();
      const error = await failure(() => asked.resolve());
      expect(VERDICTS[error.code]).toBe("retry");
      for (const text of it.secrets) expect(`${error.message} ${error.cause ?? ""}`).not.toContain(text);
    });
  });
}

export function digestOf(algorithm: string, bytes: Uint8Array): string {
  if (algorithm !== "git-sha1") return createHash(algorithm).update(bytes).digest("hex");
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}
