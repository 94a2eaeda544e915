import { MultiBar, type SingleBar } from "cli-progress";
import { isFinished } from "../core/download.ts";
import { waitingFor } from "./describe.ts";
import type { Display } from "./display.ts";
import { bar, fit, percent, safe, size, speed, time } from "./format.ts";
import type { Terminal } from "./terminal.ts";
import type { WireDownload } from "./wire.ts";

/** Most file bars shown below one download. */
const MOST_FILES = 6;

interface Line {
  label: string;
  done: number;
  total: number | null;
  /** What stands behind the bar. */
  rest: string;
}

/** The bars of a terminal: one per download that moves, its files below, a total when there are several. */
export class Bars implements Display {
  readonly wantsFiles = true;
  readonly json = false;
  readonly #terminal: Terminal;
  readonly #downloads = new Map<string, WireDownload>();
  readonly #bars: SingleBar[] = [];
  readonly #multi: MultiBar;
  #ended = false;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.#multi = new MultiBar({
      format: (_options, _params, payload) => payload.text,
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
      gracefulExit: false,
      fps: 8,
    });
  }

  show(download: WireDownload): void {
    if (this.#ended) return;
    const before = this.#downloads.get(download.id);
    const files = download.files ?? before?.files;
    this.#downloads.set(download.id, files === undefined ? download : { ...download, files });
    const texts = frame([...this.#downloads.values()], this.#terminal.width());
    for (const [i, text] of texts.entries()) {
      const shown = this.#bars[i];
      if (shown === undefined) this.#bars.push(this.#multi.create(1, 0, { text }));
      else shown.update(0, { text });
    }
    for (const surplus of this.#bars.splice(texts.length)) this.#multi.remove(surplus);
  }

  note(text: string): void {
    if (this.#bars.length > 0 && !this.#ended) this.#multi.log(`${text}\n`);
    else this.#terminal.err(text);
  }

  end(): void {
    this.#ended = true;
    this.#multi.stop();
  }
}

/** The lines to show now, each at most `columns` wide. */
export function frame(downloads: readonly WireDownload[], columns: number): string[] {
  const moving = downloads.filter((download) => !isFinished(download.state));
  const lines = moving.flatMap((download) => [downloadLine(download), ...fileLines(download)]);
  if (downloads.length > 1 && moving.length > 0) lines.push(totalLine(downloads));
  return lines.map((line) => lay(line, columns));
}

function downloadLine(download: WireDownload): Line {
  const { downloaded_bytes: done, total_bytes: total } = download.progress;
  const left = download.timing?.estimated_remaining_seconds;
  const busy = download.state === "downloading";
  const eta = busy && left !== undefined ? `  ${time(left)} left` : "";
  const rate = speed(download.speed ?? 0);
  // Before the first byte and behind the last one another program's own words say more than ours.
  const said = download.status_line === undefined ? undefined : safe(download.status_line);
  const moving = busy && (total > 0 || said === undefined);
  const rest = waitingFor(download) || (moving ? `${rate}${eta}` : (said ?? download.state));
  return { label: download.model_id, done, total, rest };
}

function fileLines(download: WireDownload): Line[] {
  const files = download.files ?? [];
  if (files.length < 2) return [];
  return files
    .filter((file) => file.state !== "done" && file.bytes > 0)
    .slice(0, MOST_FILES)
    .map((file) => ({ label: `  ${file.path}`, done: file.bytes, total: file.size, rest: "" }));
}

function totalLine(downloads: readonly WireDownload[]): Line {
  const sum = (pick: (download: WireDownload) => number): number =>
    downloads.reduce((total, download) => total + pick(download), 0);
  const done = sum((download) => download.progress.downloaded_bytes);
  const known = downloads.every((download) => download.progress.total_bytes > 0);
  const total = known ? sum((download) => download.progress.total_bytes) : null;
  const bps = sum((download) => (isFinished(download.state) ? 0 : (download.speed ?? 0)));
  const eta = total !== null && bps > 0 ? `  ${time((total - done) / bps)} left` : "";
  return { label: "total", done, total, rest: speed(bps) + eta };
}

const NARROWEST_BAR = 10;

function lay({ label, done, total, rest }: Line, columns: number): string {
  const amount = total !== null && total > 0 ? `${size(done)} / ${size(total)}` : size(done);
  const share = total !== null && total > 0 ? percent(done, total) : "";
  const tail = [share.padStart(6), amount.padStart(19), rest].join("  ").trimEnd();
  const room = columns - 1;
  const name = Math.min(40, Math.max(12, Math.floor(room / 3)));
  const free = room - name - 1 - Bun.stringWidth(tail) - 1;
  const text =
    free >= NARROWEST_BAR
      ? `${fit(label, name)} ${bar(done, total, Math.min(free, 30))} ${tail}`
      : `${fit(label, name)} ${tail}`;
  return cut(text, room);
}

function cut(text: string, columns: number): string {
  if (Bun.stringWidth(text) <= columns) return text;
  const letters = [...text];
  while (Bun.stringWidth(letters.join("")) > columns - 1) letters.pop();
  return `${letters.join("")}…`;
}
