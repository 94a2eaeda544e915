import type { Attempt } from "./attempt.ts";
import { type File, parseNamedDigest } from "./download.ts";
import { DownloadError } from "./errors.ts";
import type { BringObserver } from "./ports.ts";

/** How often what another program has done is recorded, so that a crash of ours sets the display back no further. */
const SAVE_EVERY_MS = 1000;
/** The same for layers nobody has named before, which are to be seen soon. */
const SAVE_NEWS_MS = 250;
/** Pieces of one model; it has a handful, and more than this is no model (F9). */
const MOST_LAYERS = 512;

/**
 * Leads an attempt in which another program fetches and keeps the files: its layers are the rows of `files`, without a
 * place on our disk. Rejects with what ended it; the other program has been told to stop by then.
 */
export async function bring(attempt: Attempt): Promise<void> {
  const { source, row, secret, signal, tools } = attempt;
  if (!source.bring) throw new DownloadError("internal", `Provider '${source.name}' has no program to lead.`);
  if (row.rateLimit > 0) attempt.warn(`The rate limit does not apply: ${source.name} fetches by itself.`);
  const ledger = new Ledger(attempt, await tools.db.files(row.id));
  try {
    const context = { secret, signal, log: tools.log, again: row.attempt > 0 };
    await source.bring(row.source, context, ledger);
  } catch (error) {
    // What was told last is worth keeping whatever ended it, but not another error.
    await ledger.save().catch((lost) => tools.log.warn("could not record layers", { error: String(lost) }));
    throw error;
  }
  signal.throwIfAborted();
  await ledger.finish();
}

/** Bytes and total as shown. */
export interface Share {
  bytes: number;
  total: number;
}

/** Before the end of all layers nobody knows whether there will be another one (A25). */
const MOST = 0.99;
/** A little less, so that what is held can be rounded up to whole bytes. */
const MOST_OF_KNOWN = 0.989;

/**
 * Bytes to show of `total`, the sum of the layers known so far, when `bytes` of it are there: a share that never falls
 * and stays below {@link MOST}. A layer that turns up later makes the total grow; the share reached before is held
 * until the bytes have caught up with it (A17, A25).
 */
export function shownBytes(before: Share, bytes: number, total: number): number {
  const most = Math.floor(total * MOST);
  const known = Math.min(bytes, Math.floor(total * MOST_OF_KNOWN));
  return Math.min(most, Math.max(known, held(before, total)));
}

/** The smallest number of bytes whose share of `total` is not below the one before; whole numbers, for 1 byte must not be lost. */
function held(before: Share, total: number): number {
  if (before.total <= 0) return 0;
  const [bytes, of] = [BigInt(before.bytes), BigInt(before.total)];
  return Number((bytes * BigInt(total) + of - 1n) / of);
}

interface Layer {
  file: Omit<File, "id">;
  /** What the program said last, in this attempt; undefined when it has not spoken of it yet. */
  said: number | undefined;
}

/** What the other program has told, brought to rows, meter and feed. */
class Ledger implements BringObserver {
  readonly #attempt: Attempt;
  readonly #layers = new Map<string, Layer>();
  #shown: Share;
  #savedAt: number;
  /** It said that it checks what it has. */
  #checked = false;

  constructor(attempt: Attempt, files: readonly File[]) {
    const { row, meter } = attempt;
    this.#attempt = attempt;
    this.#savedAt = Number.NEGATIVE_INFINITY;
    for (const file of files) {
      // A download that was cancelled or has failed begins anew.
      const bytes = row.bytes === 0 ? 0 : file.bytes;
      this.#layers.set(file.path, { file: { ...file, bytes }, said: undefined });
    }
    this.#shown = { bytes: row.bytes, total: row.total ?? 0 };
    meter.bytes = row.bytes;
    meter.total = row.total;
    meter.peak = Math.max(meter.peak, row.bytes);
  }

  async layer({
    digest,
    size,
    completed,
  }: {
    digest: string;
    size: number;
    completed: number;
  }): Promise<void> {
    const isNews = this.#layers.get(digest)?.file.size !== size;
    if (isNews) await this.#learn(digest, size);
    const layer = this.#layers.get(digest) as Layer;
    const now = Math.min(Math.max(0, completed), size);
    const { meter, tools } = this.#attempt;
    meter.gained += Math.max(0, now - (layer.said ?? now));
    layer.said = now;
    this.#raise(layer, now);
    this.#show();
    const age = tools.clock.monotonic() - this.#savedAt;
    if (age >= (isNews ? SAVE_NEWS_MS : SAVE_EVERY_MS)) await this.save();
  }

  async status(line: string, phase?: "downloading" | "verifying"): Promise<void> {
    const { meter, row } = this.#attempt;
    const isNews = meter.statusLine !== line;
    meter.statusLine = line;
    if (phase === "verifying") {
      this.#checked = true;
      this.#complete();
    }
    if (phase !== undefined && row.state !== phase) return this.#attempt.write({ state: phase });
    if (isNews) await this.#attempt.write({});
  }

  warning(text: string): void {
    this.#attempt.warn(text);
  }

  /** Records the layers and how far each is; they are few. */
  async save(): Promise<void> {
    const { tools, row, meter } = this.#attempt;
    const now = tools.clock.monotonic();
    this.#savedAt = now;
    const files = [...this.#layers.values()].map(({ file }) => file);
    await tools.db.putFiles(row.id, files);
    const progress = { id: row.id, bytes: this.#shown.bytes, averageBps: meter.average(now) };
    await tools.db.saveWritten([], [progress]);
  }

  /** It has succeeded: what it spoke of in this attempt is the model, all of it. */
  async finish(): Promise<void> {
    const { tools, row, meter, write } = this.#attempt;
    this.#complete();
    // However short it was: every client sees that it was checked (A25).
    if (row.state === "downloading") await write({ state: "verifying" });
    const all = [...this.#layers.values()];
    const spoken = all.some(({ said }) => said !== undefined)
      ? all.filter(({ said }) => said !== undefined)
      : all;
    const completedAt = tools.clock.now();
    const files = spoken.map(({ file }) => ({ ...file, ...this.#done(file), completedAt }));
    this.#attempt.files = await tools.db.putFiles(row.id, files);
    const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
    // A total that has shrunk, because the name leads to another model by now, takes the bytes with it.
    const bytes = Math.min(this.#shown.bytes, Math.floor(total * MOST));
    await write({ total, bytes, filesTotal: files.length, filesDone: files.length });
    Object.assign(meter, { bytes: total, total, filesDone: files.length });
  }

  #done({ size, digest }: Layer["file"]) {
    const verified = this.#checked && digest !== null;
    return {
      state: "done" as const,
      bytes: size ?? 0,
      verified,
      computed: verified ? digest : null,
      error: null,
    };
  }

  /** A layer nobody has named before, or of another size than it had. */
  async #learn(digest: string, size: number): Promise<void> {
    const { row, write, meter } = this.#attempt;
    const layer = this.#layers.get(digest);
    if (layer) layer.file = { ...layer.file, size, bytes: Math.min(layer.file.bytes, size) };
    else if (this.#layers.size < MOST_LAYERS)
      this.#layers.set(digest, { file: newLayer(row.id, digest, size), said: undefined });
    else throw new DownloadError("protocol", `More than ${MOST_LAYERS} layers were announced.`);
    const { bytes, total } = this.#next();
    // First the row, which may never hold more bytes than the total; then both at once for those who watch.
    await write({ total, bytes, filesTotal: this.#layers.size });
    this.#shown = { bytes, total };
    Object.assign(meter, { bytes, total });
  }

  #raise(layer: Layer, bytes: number): void {
    const more = bytes - layer.file.bytes;
    if (more <= 0) return;
    layer.file.bytes = bytes;
    // Counted as new bytes, also while the share that is shown is held (F47).
    this.#attempt.meter.peak += more;
  }

  /** Everything named in this attempt is there: a layer's last line may stop short (protocols/ollama.md §2.1). */
  #complete(): void {
    for (const layer of this.#layers.values())
      if (layer.said !== undefined) this.#raise(layer, layer.file.size ?? 0);
    this.#show();
  }

  #next(): Share {
    const files = [...this.#layers.values()].map(({ file }) => file);
    const total = files.reduce((sum, { size }) => sum + (size ?? 0), 0);
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    return { bytes: shownBytes(this.#shown, bytes, total), total };
  }

  #show(): void {
    this.#shown = this.#next();
    const { meter } = this.#attempt;
    Object.assign(meter, this.#shown);
    const layers = [...this.#layers.values()];
    meter.filesDone = layers.filter(({ file }) => file.bytes === file.size).length;
  }
}

function newLayer(downloadId: string, digest: string, size: number): Omit<File, "id"> {
  return {
    downloadId,
    path: digest,
    size,
    digest: parseNamedDigest(digest) ?? null,
    computed: null,
    verified: false,
    checked: null,
    locator: digest,
    state: "pending",
    target: null,
    validator: null,
    partial: null,
    bytes: 0,
    error: null,
    completedAt: null,
  };
}
