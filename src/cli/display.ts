/** How a running download is shown: bars, plain lines, JSON lines, or not at all. */
import { isFinished, type State } from "../core/download.ts";
import { Bars } from "./bars.ts";
import { describe } from "./describe.ts";
import type { Terminal } from "./terminal.ts";
import type { WireDownload } from "./wire.ts";

export interface Display {
  /** The newest state of a download. */
  show(download: WireDownload): void;
  /** Something to read, outside the bars. */
  note(text: string): void;
  /** Takes bars off the screen. */
  end(): void;
  /** Wants `files[]` of a many-file download while it moves. */
  readonly wantsFiles: boolean;
  /** Standard output belongs to JSON lines. */
  readonly json: boolean;
}

export function createDisplay(terminal: Terminal, options: { json?: boolean; quiet?: boolean }): Display {
  if (options.json === true) return jsonLines(terminal);
  if (options.quiet === true) return silence(terminal);
  return terminal.interactive ? new Bars(terminal) : plainLines(terminal);
}

function jsonLines(terminal: Terminal): Display {
  return {
    wantsFiles: false,
    json: true,
    show: (download) => terminal.out(JSON.stringify(download)),
    note: (text) => terminal.err(text),
    end: () => {},
  };
}

function silence(terminal: Terminal): Display {
  return {
    wantsFiles: false,
    json: false,
    show: () => {},
    note: (text) => terminal.err(text),
    end: () => {},
  };
}

const LINE_EVERY_MS = 30_000;

/** One line per change of state, per tenth, and at least every half minute while it moves. */
function plainLines(terminal: Terminal): Display {
  const last = new Map<string, { state: State; tenth: number; at: number }>();
  return {
    wantsFiles: false,
    json: false,
    show: (download) => {
      const { downloaded_bytes: done, total_bytes: total } = download.progress;
      const tenth = total > 0 ? Math.floor((done / total) * 10) : 0;
      const before = last.get(download.id);
      const now = performance.now();
      const news = before === undefined || before.state !== download.state || before.tenth !== tenth;
      if (!news && (isFinished(download.state) || now - before.at < LINE_EVERY_MS)) return;
      last.set(download.id, { state: download.state, tenth, at: now });
      terminal.err(describe(download));
    },
    note: (text) => terminal.err(text),
    end: () => {},
  };
}
