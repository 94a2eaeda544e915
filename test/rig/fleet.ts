import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { filesBelow, partials, sha256File } from "../e2e/support.ts";
import type { Daemon, Shown } from "../support/daemon.ts";
import type { OriginProcess } from "../support/origin/process.ts";
import { between, oneOf } from "../support/random.ts";

/** What may become of a download that its user was answered for. */
type Fate = "run" | "paused" | "cancelled" | "gone";

export interface Job {
  /** Its `model_id`, and the name of its file. */
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
  /** One fate once a command was answered; two while nobody knows whether it was taken. */
  may: ReadonlySet<Fate>;
  /** Was seen as completed. */
  isComplete: boolean;
  /** Its partial data was given up by a command, so that fetching it again is no waste. */
  isRestarted: boolean;
  /** Its removal was asked for; killed in between, its record may outlive its file. */
  isDoomed: boolean;
  /** A command is on its way: what is true now may not be in a moment. */
  isAsked: boolean;
}

export interface FleetOptions {
  daemon: Daemon;
  origin: OriginProcess;
  next: () => number;
}

const KIB = 1 << 10;
const MIB = 1 << 20;
/** From one that is over before its connections have grown to one of several parts. */
const SIZES = [300 * KIB, 3 * MIB, 20 * MIB, 34 * MIB];
/** Downloads that move at once. */
export const MOVING = 4;
/** More records than this, and the finished ones are removed. */
const MOST_JOBS = 14;
const UNFINISHED = new Set(["queued", "downloading", "verifying"]);
const SETTLE_MS = 120_000;
/** Bytes per second of a connection when nothing is tested any more. */
const AT_THE_END = 50_000_000;

/**
 * Downloads that are started, commanded and looked after across crashes: a ledger of what was acknowledged, and the
 * judge of whether it is still true. The content comes from the origin, which says what is right.
 */
export class Fleet {
  readonly counts = { added: 0, acknowledged: 0, completed: 0, wrong: 0, lost: 0, stuck: 0 };
  /** The first thing that went wrong. */
  note = "";
  readonly jobs = new Map<string, Job>();
  readonly #daemon: Daemon;
  readonly #origin: OriginProcess;
  readonly #next: () => number;
  readonly #judged = new Set<string>();
  #number = 0;

  constructor({ daemon, origin, next }: FleetOptions) {
    this.#daemon = daemon;
    this.#origin = origin;
    this.#next = next;
  }

  get running(): Job[] {
    return [...this.jobs.values()].filter(({ may, isComplete }) => may.has("run") && !isComplete);
  }

  /** Keeps the queue filled and gives a command now and then, until `signal`; one after the other. */
  async drive(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.running.length < MOVING) await this.#add();
      else await this.#command();
      if (!signal.aborted) await Bun.sleep(between(this.#next, 0, 120));
    }
  }

  async #add(): Promise<void> {
    const name = `m${++this.#number}.gguf`;
    const size = oneOf(this.#next, SIZES);
    await this.#origin.ask("put", { path: `/${name}`, seed: this.#number, size });
    const sha256 = await this.#origin.ask("sha256", `/${name}`);
    const known = { isComplete: false, isRestarted: false, isDoomed: false, isAsked: false };
    const job: Job = { name, size, sha256, may: new Set(["gone"]), ...known };
    this.jobs.set(name, job);
    this.counts.added += 1;
    // Every third has nothing but its size and validator to go by.
    const digest = this.#number % 3 === 0 ? {} : { sha256 };
    const body = { url: this.#origin.url(`/${name}`), model_id: name, ...digest };
    await this.#issue(job, "run", "POST", "/v1/downloads", body);
  }

  async #command(): Promise<void> {
    const all = [...this.jobs.values()].filter(({ may }) => !may.has("gone"));
    const over = all.filter(({ isComplete, may }) => isComplete || may.has("cancelled"));
    if (over.length > 0 && all.length > MOST_JOBS) return this.#remove(oneOf(this.#next, over));
    const job = oneOf(this.#next, all.length > 0 ? all : [...this.jobs.values()]);
    const path = `/v1/downloads/${job.name}`;
    if (job.may.has("paused")) return this.#issue(job, "run", "POST", `${path}/resume`);
    if (job.may.has("cancelled")) return this.#issue(job, "run", "POST", `${path}/retry`);
    if (job.isComplete) return this.#look(job);
    const dice = this.#next();
    if (dice < 0.35) return this.#issue(job, "paused", "POST", `${path}/pause`);
    if (dice < 0.5) return this.#cancel(job, path);
    return this.#look(job);
  }

  async #cancel(job: Job, path: string): Promise<void> {
    job.isRestarted = true;
    await this.#issue(job, "cancelled", "POST", `${path}/cancel`);
  }

  #remove(job: Job): Promise<void> {
    job.isDoomed = true;
    return this.#issue(job, "gone", "DELETE", `/v1/history/${job.name}?files=true`);
  }

  async #look(job: Job): Promise<void> {
    await this.#judge(job).catch(() => undefined);
  }

  /** Sends one command. Until its answer is there both what was and what was asked for may be true. */
  async #issue(job: Job, fate: Fate, method: string, path: string, body?: unknown): Promise<void> {
    const before = job.may;
    job.may = new Set([...before, fate]);
    job.isAsked = true;
    const answer = await this.#daemon.api(method, path, body).catch(() => undefined);
    job.isAsked = false;
    if (answer === undefined) return;
    if (answer.status >= 500 && answer.status !== 503)
      this.#blame("lost", job, `${method} ${path} was answered ${answer.status}`);
    if (answer.status >= 300) {
      job.may = before;
      return;
    }
    this.counts.acknowledged += 1;
    job.may = new Set([fate]);
  }

  /** Whether all that was acknowledged is still true; a daemon that dies meanwhile leaves the rest to the next time. */
  async check(): Promise<void> {
    try {
      for (const job of [...this.jobs.values()]) await this.#judge(job);
    } catch {
      // Killed in the middle: what could not be asked stays promised.
    }
  }

  /** Rejects when there is no answer. */
  async #judge(job: Job): Promise<void> {
    const { may, isComplete } = job;
    const { status, body } = await this.#daemon.api("GET", `/v1/downloads/${job.name}`);
    // A command was answered while this was on its way, or will be.
    if (job.may !== may || job.isAsked) return;
    const seen = status === 404 ? "gone" : fateOf((body as Shown).state);
    const state = status === 404 ? "gone" : (body as Shown).state;
    if (!may.has(seen as Fate) || (isComplete && state !== "completed" && seen !== "gone"))
      this.#blame("lost", job, `may be ${[...may].join(" or ")}, is ${state}: ${JSON.stringify(body)}`);
    job.may = new Set([seen as Fate]);
    if (state === "completed" && !isComplete) {
      job.isComplete = true;
      this.counts.completed += 1;
    }
    if (seen === "gone") this.#forget(job);
  }

  #forget(job: Job): void {
    if (existsSync(join(this.#daemon.modelsDir, job.name)))
      this.#blame("lost", job, "was removed with its file, which is still there");
    this.jobs.delete(job.name);
  }

  /** Looks at every final name as it is on the disk now; each version of a file is read once. */
  async inspect(): Promise<void> {
    const { modelsDir } = this.#daemon;
    for (const name of filesBelow(modelsDir).filter((it) => !it.endsWith(".part"))) {
      const path = join(modelsDir, name);
      const { ino, size, mtimeMs } = statSync(path);
      const version = [name, ino, size, mtimeMs].join();
      if (this.#judged.has(version)) continue;
      this.#judged.add(version);
      const job = this.jobs.get(name);
      if (!job) this.#blame("wrong", { name }, "has a final name and belongs to nobody");
      else if (size !== job.size || (await sha256File(path)) !== job.sha256)
        this.#blame("wrong", job, `${size} bytes of ${job.size} under its final name, with another digest`);
    }
  }

  /** Lets everything end by itself; what does not, or leaves something behind, is counted. */
  async settle(): Promise<void> {
    await this.#origin.ask("limit", { ratePerConnection: AT_THE_END });
    await this.check();
    for (const job of this.jobs.values()) {
      if (job.may.has("paused")) await this.#issue(job, "run", "POST", `/v1/downloads/${job.name}/resume`);
    }
    const deadline = performance.now() + SETTLE_MS;
    while (this.running.length > 0 && performance.now() < deadline) {
      await this.check();
      await Bun.sleep(50);
    }
    for (const job of this.running) {
      const { body } = await this.#daemon.api("GET", `/v1/downloads/${job.name}`);
      this.#blame("stuck", job, `not completed after ${SETTLE_MS / 1000} s: ${JSON.stringify(body)}`);
    }
    await this.inspect();
    for (const name of partials(this.#daemon.modelsDir)) this.#blame("stuck", { name }, "was left behind");
    for (const { name, isComplete, isDoomed } of this.jobs.values())
      if (isComplete && !isDoomed && !existsSync(join(this.#daemon.modelsDir, name)))
        this.#blame("lost", { name }, "completed, and its file is not there");
  }

  #blame(kind: "wrong" | "lost" | "stuck", { name }: { name: string }, what: string): void {
    this.counts[kind] += 1;
    this.note ||= `${name} ${what}`;
  }
}

function fateOf(state: string): string {
  if (UNFINISHED.has(state) || state === "completed") return "run";
  return state;
}
