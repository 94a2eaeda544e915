import type { Attempt, Tools } from "./attempt.ts";
import type { Board } from "./board.ts";
import { type Download, RUNNING } from "./download.ts";
import { DownloadError } from "./errors.ts";
import { runAttempt } from "./lead.ts";
import type { Meter } from "./meter.ts";
import type { Clock, DownloadPatch } from "./ports.ts";
import { SetBack } from "./set-back.ts";
import type { Settings } from "./settings.ts";
import { type AttemptResult, discardPartials, Interruption, letGo, settle } from "./settle.ts";
import { Turns } from "./turns.ts";

const LEASE_MS = 30_000;
const HEARTBEAT_MS = 10_000;
/** Progress is sampled at most this often per download (DESIGN §5). */
const SAMPLE_MS = 250;
/** Longest timer; a row due later is looked at again then. */
const LONGEST_WAIT_MS = 60_000;
const LONGEST_SETTLE_MS = 5000;

interface Running {
  row: Download;
  readonly controller: AbortController;
  readonly meter: Meter;
  startedAt: number;
  done: Promise<void>;
  shown: string;
}

/** Claims rows in their order and leads an attempt on each: the only owner of rows in a running state. */
export class Runner {
  readonly #tools: Tools;
  readonly #board: Board;
  readonly #settings: () => Settings;
  readonly #only: ReadonlySet<string> | undefined;
  readonly #owner = crypto.randomUUID();
  readonly #running = new Map<string, Running>();
  readonly #turns = new Turns();
  readonly #timers: Timer[] = [];
  readonly #setBack: SetBack;
  #due: Timer | undefined;
  #pumping: Promise<void> | undefined;
  #again = false;
  #stopped = true;

  /** With `only`, attempts are led on these downloads and no others. */
  constructor(tools: Tools, board: Board, settings: () => Settings, only?: ReadonlySet<string>) {
    this.#tools = tools;
    this.#board = board;
    this.#settings = settings;
    this.#setBack = new SetBack(tools.clock);
    this.#only = only;
  }

  /** Takes back what an earlier process left running, honours its unfinished wishes, and starts working. */
  async start(): Promise<void> {
    const { db } = this.#tools;
    for (const row of await db.recover(Number.MAX_SAFE_INTEGER)) {
      this.#board.feed.changed(this.#board.snapshot(row), true);
      if (row.intent === "pause")
        await this.#board.write(row.id, { states: ["queued"] }, { state: "paused", intent: null });
      if (row.intent === "cancel") await this.cancelIdle(row);
    }
    this.#stopped = false;
    this.#tools.journal.start();
    this.#timers.push(setInterval(() => this.#sample(), SAMPLE_MS));
    this.#timers.push(setInterval(() => void this.#heartbeat(), HEARTBEAT_MS));
    this.wake();
  }

  /** Gives every attempt back to the queue with its bytes synced; resolves when all have let go. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    clearTimeout(this.#due);
    await this.#pumping;
    await this.giveBack(() => true);
    await this.#tools.journal.stop();
  }

  isRunning(id: string): boolean {
    return this.#running.has(id);
  }

  get count(): number {
    return this.#running.size;
  }

  /** Something became runnable, or a slot or a setting changed. */
  wake(): void {
    if (this.#stopped) return;
    this.#again = true;
    this.#pumping ??= this.#pump().finally(() => {
      this.#pumping = undefined;
      if (this.#again) this.wake();
    });
  }

  /** Ends the attempt on `id` for this reason; resolves when its row has been written. */
  async interrupt(id: string, kind: Interruption["kind"]): Promise<void> {
    const running = this.#running.get(id);
    running?.controller.abort(new Interruption(kind));
    await running?.done;
  }

  /** Resolves when the attempt on `id`, if there is one, has ended and its row has been written. */
  async settled(id: string): Promise<void> {
    await this.#running.get(id)?.done;
  }

  /** Interrupts attempts that match and returns them to the queue. */
  async giveBack(which: (index: number) => boolean): Promise<void> {
    const newestFirst = [...this.#running.values()].sort((a, b) => b.startedAt - a.startedAt);
    await Promise.all(
      newestFirst.filter((_, i) => which(i)).map((r) => this.interrupt(r.row.id, "shutdown")),
    );
  }

  /** Settings changed: rates, connections and the number of downloads at once are in force from now on. */
  applySettings(): void {
    const { maxConcurrent, connectionsPerDownload, rateLimit, paused } = this.#settings();
    this.#tools.transfer.setGlobalRate(rateLimit);
    this.#tools.transfer.setConnections(connectionsPerDownload);
    const excess = paused ? this.#running.size : this.#running.size - maxConcurrent;
    void this.giveBack((index) => index < excess).then(() => this.wake());
  }

  /** Cancels a row nobody leads: partial data first, so that a crash in between leaves the wish, not the bytes. */
  async cancelIdle(row: Download): Promise<Download | undefined> {
    await discardPartials(this.#tools, row);
    const endedAt = this.#tools.clock.now();
    const patch: DownloadPatch = {
      state: "cancelled",
      intent: null,
      endedAt,
      waiting: null,
      notBefore: null,
    };
    const written = await this.#board.write(row.id, { states: ["queued", "paused"] }, patch);
    if (written) await letGo(this.#tools, this.#board, row.id, "cancelled");
    return written;
  }

  async #pump(): Promise<void> {
    const { clock, db, log } = this.#tools;
    let now = clock.now();
    try {
      await this.#setBack.mend(this.#board);
      while (this.#again && !this.#stopped) {
        this.#again = false;
        while (
          !this.#stopped &&
          !this.#settings().paused &&
          this.#running.size < this.#settings().maxConcurrent
        ) {
          now = clock.now();
          const row = await this.#board.claim(this.#owner, now, now + LEASE_MS, this.#only);
          if (!row) break;
          this.#lead(row);
          // The settings may have changed while the row was being claimed.
          const { paused, maxConcurrent } = this.#settings();
          if (paused || this.#running.size > maxConcurrent) void this.interrupt(row.id, "shutdown");
        }
      }
      // As of the last claim: what has become due since is due again here.
      const due = await db.nextDue(now);
      clearTimeout(this.#due);
      if (due === undefined || this.#stopped) return;
      const wait = Math.min(Math.max(due - clock.now(), 10), LONGEST_WAIT_MS);
      this.#due = setTimeout(() => this.wake(), wait);
    } catch (error) {
      log.error("could not claim the next download", { error: String(error) });
      clearTimeout(this.#due);
      this.#due = setTimeout(() => this.wake(), 1000);
    }
  }

  #lead(row: Download): void {
    const meter = this.#board.meter(row.id);
    const running: Running = {
      row,
      controller: new AbortController(),
      meter,
      startedAt: this.#tools.clock.monotonic(),
      done: Promise.resolve(),
      shown: "",
    };
    this.#running.set(row.id, running);
    running.done = this.#attempt(running)
      .catch((error) =>
        this.#tools.log.error("an attempt could not be settled", { id: row.id, error: String(error) }),
      )
      .finally(() => {
        // Given back to the queue, it may have been claimed again before this is known here.
        if (this.#running.get(row.id) === running) this.#running.delete(row.id);
        this.wake();
      });
  }

  async #attempt(running: Running): Promise<void> {
    const { clock, journal, transfer, log } = this.#tools;
    const { row, meter } = running;
    meter.start(clock.monotonic());
    meter.bytes = row.bytes;
    meter.filesDone = row.filesDone;
    const peakBefore = Math.max(meter.peak, row.bytes);
    transfer.setDownloadRate(row.id, row.rateLimit);
    journal.report(row.id, () => {
      const { id, bytes, averageBps } = this.#board.snapshot(running.row);
      return { id, bytes, averageBps };
    });
    let failure: unknown;
    const warnings = [...row.warnings];
    try {
      const attempt = await this.#prepare(running, warnings);
      await runAttempt(attempt);
    } catch (error) {
      failure = error ?? new DownloadError("internal", "An attempt ended without a reason.");
    }
    journal.silence(row.id);
    const { bytes, averageBps } = this.#board.snapshot(running.row);
    meter.stop(clock.monotonic());
    const gained = meter.peak - peakBefore;
    const { filesDone } = meter;
    const result = {
      owner: this.#owner,
      row: running.row,
      bytes,
      filesDone,
      averageBps,
      warnings,
      gained,
      failure,
      endedAt: clock.now(),
    };
    log.debug("attempt ended", { id: row.id, failure: failure === undefined ? null : String(failure) });
    await this.#settle(result);
  }

  /** Nobody else may move the row, so this is tried until the database takes it, or the process ends (F80). */
  async #settle(result: AttemptResult): Promise<void> {
    const { clock, log } = this.#tools;
    for (let wait = 200; ; wait = Math.min(wait * 2, LONGEST_SETTLE_MS)) {
      try {
        return await settle(this.#tools, this.#board, this.#settings(), result);
      } catch (error) {
        if (this.#stopped) throw error;
        log.error("could not record how an attempt ended; trying again", {
          id: result.row.id,
          error: String(error),
        });
      }
      await clock.sleep(wait);
    }
  }

  async #prepare(running: Running, warnings: string[]): Promise<Attempt> {
    const { sources, secrets } = this.#tools;
    const { row, controller, meter } = running;
    const source = sources.find((s) => s.name === row.source.provider);
    if (!source) {
      throw new DownloadError(
        "unsupported_provider",
        `Provider '${row.source.provider}' is not part of this build.`,
      );
    }
    const guard = { states: RUNNING, owner: this.#owner };
    const attempt: Attempt = {
      tools: this.#tools,
      source,
      secret: await secrets.get(row.id),
      signal: controller.signal,
      meter,
      row,
      files: [],
      plan: {
        targets: new Map(),
        get localPath(): never {
          throw new DownloadError("internal", "A download has no place on disk before it is planned.");
        },
      },
      abort: (error) => controller.abort(error),
      reservations: [],
      verifying: new Set(),
      turns: this.#turns,
      warn: (text) => {
        if (!warnings.includes(text) && warnings.length < 50) warnings.push(text);
      },
      write: async (patch) => {
        const written = await this.#board.write(row.id, guard, { ...patch, warnings });
        if (!written) {
          controller.abort(new Interruption("lost"));
          throw new Interruption("lost");
        }
        attempt.row = written;
        running.row = written;
      },
    };
    return attempt;
  }

  #sample(): void {
    const now = this.#tools.clock.monotonic();
    for (const running of this.#running.values()) {
      running.meter.sample(now);
      const snapshot = this.#board.snapshot(running.row);
      const shown = `${snapshot.bytes} ${snapshot.speed} ${snapshot.connections} ${snapshot.filesDone}`;
      if (shown === running.shown) continue;
      running.shown = shown;
      this.#board.feed.progressed(snapshot);
    }
  }

  async #heartbeat(): Promise<void> {
    const clock: Clock = this.#tools.clock;
    try {
      await this.#tools.db.heartbeat(this.#owner, clock.now() + LEASE_MS);
    } catch (error) {
      this.#tools.log.warn("could not extend the lease", { error: String(error) });
    }
  }
}
