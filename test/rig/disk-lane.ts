/** A daemon on a small volume that is full, read-only or gone for a while, again and again. */
import { mkdirSync, readFileSync } from "node:fs";
import { sha256Of } from "../support/bytes.ts";
import { Daemon, type Shown } from "../support/daemon.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { between, randomOf } from "../support/random.ts";
import { tempDir } from "../support/temp.ts";
import { until } from "../support/until.ts";
import { Volume } from "../support/volume.ts";

export type Trouble = "full" | "read-only" | "gone";

export interface LanePlan {
  trouble: Trouble;
  /** The database is on the volume as well. */
  isWhole: boolean;
  rounds: number;
  seed: number;
}

/** What was seen, of all lanes together. */
export class Seen {
  /** Set it to end all lanes after the round they are in. */
  isEnough = false;
  rounds: Record<Trouble, number> = { full: 0, "read-only": 0, gone: 0 };
  downloads = 0;
  /** Refused for lack of space with a status of 5xx and a typed error. */
  refused = 0;
  waited = 0;
  readonly answersMs: number[] = [];
  readonly backMs: number[] = [];
  readonly broken: string[] = [];
}

const MIB = 1 << 20;
const SIZE = 4 * MIB;
const AT_ONCE = 3;
/** What modelhaul always leaves free, and room for the files, their log and the database. */
const VOLUME = 64 * MIB + AT_ONCE * 2 * SIZE + 24 * MIB;
const SLOW = 2 * MIB;
/** How soon all of them have to move again. */
export const BACK_MS = 10_000;
const PROBE_MS = 50;

/** Plays all rounds of one lane; what goes wrong is noted and ends it. */
export async function playLane(plan: LanePlan, seen: Seen): Promise<void> {
  using dir = tempDir("rig-disk");
  const [path, store] = [dir.at(plan.isWhole ? "home" : "models"), dir.at("store")];
  mkdirSync(path);
  mkdirSync(store);
  await using volume = await Volume.make(path, store, VOLUME);
  await using origin = await startOrigin({});
  const daemon = new Daemon({ dir: plan.isWhole ? path : dir.path });
  try {
    await daemon.start(volume.enter);
    const lane = new Lane(plan, seen, volume, origin, daemon);
    for (let round = 1; round <= plan.rounds && !seen.isEnough; round++) await lane.play(round);
    await daemon.stop();
  } catch (error) {
    seen.broken.push(`${plan.trouble}, seed ${plan.seed}: ${error}`);
  } finally {
    await daemon.kill();
  }
}

class Lane {
  readonly #next: () => number;

  constructor(
    private readonly plan: LanePlan,
    private readonly seen: Seen,
    private readonly volume: Volume,
    private readonly origin: Origin,
    private readonly daemon: Daemon,
  ) {
    this.#next = randomOf(plan.seed);
  }

  async play(round: number): Promise<void> {
    const ids = Array.from({ length: AT_ONCE }, (_, i) => `r${round}-${i}`);
    this.#hurry(false);
    await Promise.all(ids.map((id, i) => this.#begin(id, i === 0)));
    const point = between(this.#next, 0, AT_ONCE * SIZE - MIB);
    await until(async () => (await this.#bytes(ids)) >= point, `${point} bytes of round ${round}`, {
      everyMs: 10,
      timeoutMs: 60_000,
    });
    const extra = await this.#suffer(ids, round);
    const all = extra === undefined ? ids : [...ids, extra];
    await this.#goOn(ids);
    this.#hurry(true);
    for (const id of all) await this.#ends(id);
    await Promise.all(all.map((id) => this.daemon.must("DELETE", `/v1/history/${id}?files=true`)));
    this.seen.rounds[this.plan.trouble] += 1;
    this.seen.downloads += all.length;
  }

  #hurry(isFast: boolean): void {
    this.origin.limits.ratePerConnection = isFast ? 500 * MIB : SLOW;
  }

  #begin(id: string, hasDigest: boolean): Promise<unknown> {
    const seed = seedOf(id);
    this.origin.put({ path: `/${id}.bin`, seed, size: SIZE });
    const request = { url: this.origin.url(`/${id}.bin`), model_id: id };
    return this.daemon.begin(hasDigest ? { ...request, sha256: sha256Of(seed, SIZE) } : request);
  }

  async #bytes(ids: readonly string[]): Promise<number> {
    const shown = await Promise.all(ids.map((id) => this.daemon.one(id)));
    return shown.reduce((sum, { progress }) => sum + progress.downloaded_bytes, 0);
  }

  /** Makes the trouble, looks how it is borne, and ends it; a download that was accepted in the middle of it. */
  async #suffer(ids: readonly string[], round: number): Promise<string | undefined> {
    if (this.plan.trouble === "full") this.volume.fill();
    else await this.#withoutWriters(ids);
    const probe = this.#probe();
    try {
      await this.#allWait(ids);
      await Bun.sleep(between(this.#next, 200, 1500));
      return await this.#refused(`r${round}-extra`);
    } finally {
      await probe.stop();
      if (this.plan.trouble === "full") this.volume.free();
      else if (this.plan.trouble === "gone") this.volume.attach();
      else this.volume.remount("rw");
    }
  }

  /** A volume that is being written to cannot be made read-only; so it happens while all of them pause. */
  async #withoutWriters(ids: readonly string[]): Promise<void> {
    const { daemon, volume } = this;
    await daemon.must("POST", "/v1/downloads/pause");
    if (this.plan.trouble === "gone") volume.detach();
    else await until(() => volume.remount("ro"), "nobody to write to the volume");
    for (const id of ids)
      if ((await daemon.one(id)).state === "paused") await daemon.must("POST", `/v1/downloads/${id}/resume`);
  }

  /** Each that has not ended says that it waits, and for what. */
  async #allWait(ids: readonly string[]): Promise<void> {
    const reason = this.plan.trouble === "gone" ? "volume" : "disk";
    for (const id of ids) {
      const shown = await this.daemon.until(
        id,
        (d) => d.state === "completed" || d.waiting?.reason === reason,
      );
      if (shown.state !== "completed") this.seen.waited += 1;
    }
  }

  /** What is asked for in the middle of it: refused with a typed error, or accepted and brought later. */
  async #refused(id: string): Promise<string | undefined> {
    this.origin.put({ path: `/${id}.bin`, seed: seedOf(id), size: SIZE });
    const answer = await this.daemon.api("POST", "/v1/downloads", {
      url: this.origin.url(`/${id}.bin`),
      model_id: id,
    });
    if (answer.status === 202) return id;
    if (![503, 507].includes(answer.status) || typeof answer.body?.error?.code !== "string")
      throw new Error(`a start was answered ${answer.status} ${JSON.stringify(answer.body)}`);
    this.seen.refused += 1;
    return undefined;
  }

  /** Asks again and again for what must always be answered. */
  #probe(): { stop(): Promise<void> } {
    let isOver = false;
    const ask = async (): Promise<void> => {
      while (!isOver) {
        const begun = performance.now();
        await this.daemon.must("GET", "/v1/downloads");
        this.seen.answersMs.push(performance.now() - begun);
        await Bun.sleep(PROBE_MS);
      }
    };
    const asking = ask();
    asking.catch(() => {});
    return {
      stop: () => {
        isOver = true;
        return asking;
      },
    };
  }

  /** The trouble has ended this very moment: how long until each of them moves by itself. */
  async #goOn(ids: readonly string[]): Promise<void> {
    const begun = performance.now();
    const before = new Map<string, Shown>();
    for (const id of ids) before.set(id, await this.daemon.one(id));
    const moves = ({ state, model_id, progress }: Shown): boolean =>
      state === "completed" ||
      progress.downloaded_bytes > (before.get(model_id)?.progress.downloaded_bytes ?? 0);
    for (const id of ids) await this.daemon.until(id, moves, 3 * BACK_MS);
    this.seen.backMs.push(performance.now() - begun);
  }

  async #ends(id: string): Promise<void> {
    const { local_path = "" } = await this.daemon.until(id, "completed", 60_000);
    const found = new Bun.CryptoHasher("sha256")
      .update(readFileSync(this.volume.seen(local_path)))
      .digest("hex");
    if (found !== sha256Of(seedOf(id), SIZE)) throw new Error(`${id}: ${local_path} has wrong bytes`);
  }
}

const seedOf = (id: string): number => Number(Bun.hash(id) & 0x7fffffffn);
