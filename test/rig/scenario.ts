/** One small story of downloads, played with the real rooms while one call of theirs fails, and what must hold in it (FAULTS G5). */
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename, join } from "node:path";
import type { FeedEvent, Snapshot } from "../../src/core/downloads.ts";
import { DownloadError } from "../../src/core/errors.ts";
import type { StartRequest } from "../../src/core/ports.ts";
import { sha256Of } from "../support/bytes.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { openProduct, type Product } from "../support/product.ts";
import { tempDir } from "../support/temp.ts";
import { Fault, faultyConnect, faultyDatabase, faultyDisk, type Order } from "./faulty.ts";

/** `a` has a promised digest and a secret, `b` is paused and resumed, `c` is cancelled. Two of them are long enough for receipts. */
const FILES = {
  a: { path: "/a.bin", seed: 11, size: 300_000 },
  b: { path: "/b.bin", seed: 12, size: 1_500_000 },
  c: { path: "/c.bin", seed: 13, size: 1_500_000 },
};
type Id = keyof typeof FILES;

/** Nothing is pulled out here, so no sync has to wait for a real disk. */
const MEMORY = "/dev/shm";
/** Longer than the longest patience of ours with a silent connection. */
const PATIENCE_MS = 50_000;
/** A fault strikes once: what was refused for it succeeds soon. */
const TRIES = 4;

export interface Play {
  fault: Fault;
  /** What did not hold. */
  broken: string[];
  /** Something was waited for in vain. */
  hung: string | undefined;
  /** Codes of downloads that ended in a typed error although the trouble was over. */
  failed: string[];
}

/** Where the story's files come from; slow enough that commands meet them on the way. */
export async function startStoryOrigin(): Promise<Origin> {
  const origin = await startOrigin({ resources: Object.values(FILES) });
  origin.on({ path: FILES.b.path }, { kind: "rate", bytesPerSecond: 1_000_000 });
  origin.on({ path: FILES.c.path }, { kind: "rate", bytesPerSecond: 200_000 });
  return origin;
}

/** Plays the story while one call fails. `isHasty`: what waits is not waited for but retried, and there is a restart in the middle. */
export async function play(origin: Origin, order: Order | undefined, isHasty: boolean): Promise<Play> {
  using dir = tempDir("rig-calls", existsSync(MEMORY) ? MEMORY : undefined);
  const fault = new Fault(order);
  const story = new Story(origin, dir.path, fault, isHasty);
  try {
    await story.tell();
  } catch (error) {
    if (error instanceof Broken) story.broken.push(error.message);
    else story.hung = String(error);
  }
  await story.close().catch((error) => void story.broken.push(String(error)));
  story.lookAtTheEnd();
  const { broken, hung, failed } = story;
  return { fault, broken, hung, failed };
}

class Broken extends Error {}

const isOver = ({ state }: Snapshot): boolean => ["completed", "failed", "cancelled"].includes(state);

class Story {
  readonly broken: string[] = [];
  readonly failed: string[] = [];
  hung: string | undefined;
  #product: Product | undefined;
  /** A silence may be so long that there is nothing left to cancel. */
  #endOfC: "cancelled" | "completed" = "cancelled";

  constructor(
    private readonly origin: Origin,
    private readonly dir: string,
    private readonly fault: Fault,
    private readonly isHasty: boolean,
  ) {}

  async tell(): Promise<void> {
    await this.#open();
    for (const id of ["a", "b", "c"] as const)
      await this.#do(`start ${id}`, (p) => p.downloads.start(this.#request(id)));
    await this.#arrives("b");
    await this.#do("pause b", (p) => p.downloads.pause("b"));
    await this.#is("b", "paused");
    await this.#arrives("c");
    await this.#cancel();
    if (this.isHasty) await this.#restart();
    await this.#is("b", "paused");
    await this.#is("c", this.#endOfC);
    await this.#do("resume b", (p) => p.downloads.resume("b"));
    const ends = [await this.#ends("a"), await this.#ends("b")];
    await this.#restart();
    await this.#is("a", ends[0]!.state);
    await this.#is("b", ends[1]!.state);
    await this.#is("c", this.#endOfC);
    await this.#forget("c");
    if (ends[1]!.state === "completed") await this.#forget("b");
  }

  async #cancel(): Promise<void> {
    await this.#do("cancel c", async (p) => {
      try {
        await p.downloads.cancel("c");
      } catch (error) {
        // Refused because of what failed after it had been done: asked for again, it has ended.
        const { state } = await p.downloads.get("c");
        if (state === "completed") this.#endOfC = state;
        else if (state !== "cancelled") throw error;
      }
    });
    await this.#is("c", this.#endOfC);
  }

  /** Asked for again after a refusal it may be gone already. */
  #forget(id: Id): Promise<unknown> {
    return this.#do(`forget ${id}`, async (p) => {
      if (await p.downloads.find(id)) await p.downloads.forget(id, { files: true });
    });
  }

  #request(id: Id): StartRequest {
    const { path, seed, size } = FILES[id];
    const request = { url: this.origin.url(path), modelId: id };
    return id === "a" ? { ...request, sha256: sha256Of(seed, size), headers: { "X-Story": "s" } } : request;
  }

  /** Opens the rooms on the story's folders. A start may be refused, with a typed error, once. */
  async #open(): Promise<void> {
    this.#product = await this.#typed("open", () =>
      openProduct({
        dir: this.dir,
        minFreeBytes: 0,
        patienceMs: PATIENCE_MS,
        settings: { retry: { baseMs: 20, maxMs: 100 } },
        system: {
          disk: faultyDisk(this.fault),
          database: faultyDatabase(this.fault),
          connect: faultyConnect(this.fault),
        },
      }),
    );
    this.#product.downloads.feed.subscribe((event) => this.#watch(event));
  }

  async #restart(): Promise<void> {
    await this.close();
    await this.#open();
  }

  /** What a close cannot record may be told as a typed error; everything is let go of all the same. */
  async close(): Promise<void> {
    const product = this.#product;
    this.#product = undefined;
    await product?.close().catch((error) => this.#judge("close", error));
  }

  /** A command that was refused is given again, as a user would. */
  #do(what: string, command: (product: Product) => Promise<unknown>): Promise<unknown> {
    return this.#typed(what, () => command(this.#running));
  }

  get #running(): Product {
    if (!this.#product) throw new Broken("nothing is open");
    return this.#product;
  }

  async #typed<T>(what: string, act: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await act();
      } catch (error) {
        this.#judge(what, error);
        if (tries === TRIES) throw new Broken(`${what} was refused ${TRIES} times: ${error}`);
      }
    }
  }

  /** Only typed errors that a user can do something about may be met. */
  #judge(what: string, error: unknown): void {
    if (!(error instanceof DownloadError))
      throw error instanceof Error && /not seen/.test(error.message)
        ? error
        : new Broken(`${what}: ${error}`);
    if (error.code === "internal" || error.code === "invalid_state")
      throw new Broken(`${what}: ${error.code}: ${error.message}`);
  }

  async #is(id: Id, state: Snapshot["state"]): Promise<void> {
    let seen = (await this.#do(`get ${id}`, (p) => p.downloads.get(id))) as Snapshot;
    // A command is answered after two seconds also when the owner has not moved the row yet (A21).
    if (seen.state !== state && seen.intent !== null)
      seen = (await this.#do(`${id} as it was wished`, (p) =>
        p.reachesSuch(id, (s) => s.state === state),
      )) as Snapshot;
    if (seen.state !== state) throw new Broken(`${id} was acknowledged as ${state} and is ${seen.state}`);
  }

  /** Some of it is there, or it waits for something: a command meets it in the middle. */
  async #arrives(id: Id): Promise<void> {
    const isThere = (s: Snapshot) => s.bytes > 0 || s.error !== null;
    await this.#do(`the first bytes of ${id}`, (p) => p.reachesSuch(id, isThere));
  }

  async #ends(id: Id): Promise<Snapshot> {
    for (;;) {
      const waits = (s: Snapshot) =>
        this.isHasty && s.state === "queued" && s.waiting !== null && s.waiting.reason !== "queue";
      const seen = (await this.#do(`the end of ${id}`, (p) =>
        p.reachesSuch(id, (s) => isOver(s) || waits(s)),
      )) as Snapshot;
      if (!isOver(seen)) {
        await this.#do(`retry ${id}`, (p) => p.downloads.retry(id));
        continue;
      }
      if (seen.state === "cancelled") throw new Broken(`${id} was cancelled by nobody`);
      if (seen.state === "failed") this.failed.push(`${id}: ${seen.error?.code}`);
      if (seen.error?.code === "internal") throw new Broken(`${id}: ${seen.error.message}`);
      return seen;
    }
  }

  /** I1 and I3, at every event. */
  #watch(event: FeedEvent): void {
    if (event.type !== "download") return;
    const { modelId, state, bytes, total } = event.download;
    if (total !== null && bytes > total) this.broken.push(`${modelId}: ${bytes} of ${total} bytes`);
    this.#lookAt(modelId as Id);
    if (state === "completed" && !existsSync(this.#place(modelId as Id)))
      this.broken.push(`${modelId} is said to be complete and is not there`);
  }

  #place(id: Id): string {
    return join(this.dir, "models", basename(FILES[id].path));
  }

  /** Whatever has the final name is right. */
  #lookAt(id: Id): void {
    const path = this.#place(id);
    if (!existsSync(path)) return;
    const { seed, size } = FILES[id];
    const found = new Bun.CryptoHasher("sha256").update(readFileSync(path)).digest("hex");
    if (found !== sha256Of(seed, size)) this.broken.push(`a wrong file has the name of ${id}`);
  }

  /** With everything closed: no wrong file, no strange file, nothing held open. */
  lookAtTheEnd(): void {
    for (const id of ["a", "b", "c"] as const) this.#lookAt(id);
    const models = join(this.dir, "models");
    const names = existsSync(models) ? readdirSync(models) : [];
    const strange = names.filter((name) => !/^[abc]\.bin(\.[0-9a-f]{8}\.part)?$/.test(name));
    if (strange.length > 0) this.broken.push(`strange files: ${strange.join(", ")}`);
    const isWhole = this.broken.length === 0 && this.hung === undefined && this.failed.length === 0;
    const partial = names.filter((name) => name.endsWith(".part"));
    if (isWhole && partial.length > 0) this.broken.push(`left behind: ${partial.join(", ")}`);
    const held = readdirSync("/proc/self/fd")
      .map(linkOf)
      .filter((path) => path.startsWith(this.dir));
    if (held.length > 0) this.broken.push(`still open: ${held.map((path) => basename(path)).join(", ")}`);
  }
}

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return "";
  }
}
