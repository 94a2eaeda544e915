import { bytes, duration, percent, remaining, speed } from "../parts/format.ts";
import type { Download } from "./service.ts";
import type { Words } from "./words.ts";

export type State = "idle" | "starting" | Download["state"];
export type Command = "start" | "pause" | "resume" | "retry";

/** All that the look of an element depends on. */
export interface Situation {
  state: State;
  download: Download | undefined;
  /** What went wrong with the last thing asked for. */
  fault: string;
  /** The service does not answer at the moment. */
  isLost: boolean;
  /** Whether to cancel is being asked. */
  isAsking: boolean;
  label: string;
  words: Words;
}

/** What is to be seen of it; empty texts and nulls are not. */
export interface Shown {
  command: Command | null;
  primary: string;
  cancel: string;
  status: string;
  error: string;
  /** 0 to 100, null while the size is unknown, undefined for no bar. */
  percentage: number | null | undefined;
}

const COMMANDS: Record<State, Command | null> = {
  idle: "start",
  starting: null,
  queued: "pause",
  downloading: "pause",
  verifying: "pause",
  paused: "resume",
  creating_engine: null,
  completed: null,
  failed: "retry",
  cancelled: "start",
};
const ON = new Set<State>(["queued", "downloading", "paused", "verifying", "creating_engine"]);
/** Under way or waiting: it changes by itself, and may be cancelled. */
export const isOn = (state: State): boolean => ON.has(state);

export function shown(it: Situation): Shown {
  const { state, download, words, isAsking } = it;
  const on = isOn(state);
  const command = state === "failed" && !download ? "start" : COMMANDS[state];
  return {
    command,
    primary: on && isAsking ? words.keep : primary(it, command),
    cancel: on ? (isAsking ? words.yes : words.cancel) : "",
    status: on && isAsking ? words.sure : status(it),
    error: it.fault || (state === "failed" ? (download?.error_message ?? "") : ""),
    percentage: on ? share(download) : undefined,
  };
}

function primary({ state, label, words }: Situation, command: Command | null): string {
  if (state === "starting") return words.starting;
  if (command === null) return "";
  if (state === "failed") return words.retry;
  return command === "start" ? label : words[command];
}

const share = (download: Download | undefined): number | null =>
  download && download.progress.total_bytes > 0 ? download.progress.percentage : null;

function status({ state, download, isLost, words }: Situation): string {
  if (state === "idle" || state === "starting" || !download) return "";
  if (isLost) return words.lost;
  const { downloaded_bytes: arrived, total_bytes: total } = download.progress;
  const waiting =
    download.last_error && download.waiting ? `${words.waiting}: ${download.last_error.message}` : "";
  if (waiting && state !== "paused") return waiting;
  if (isHalted(download)) return words.all_paused;
  if (state === "completed") return joined(words.completed, total > 0 && bytes(total));
  if (state !== "downloading")
    return joined(words[state], state !== "failed" && state !== "cancelled" && far());
  const left = remaining(download);
  return joined(
    far(),
    total > 0 ? `${bytes(arrived)} ${words.of} ${bytes(total)}` : bytes(arrived),
    download.speed > 0 && speed(download.speed),
    left !== undefined && `${duration(left)} ${words.left}`,
  );

  function far(): string | false {
    return total > 0 && arrived > 0 && percent(download?.progress.percentage ?? 0);
  }
}

/** It waits because nothing may run at all. */
const isHalted = (download: Download | undefined): boolean =>
  download?.state === "queued" && download.waiting?.reason === "all_paused";

const joined = (...parts: (string | false)[]): string => parts.filter(Boolean).join(" · ");

/** What a screen reader is told: what is asked, each new state, and a quarter at a time. */
export function spoken({ state, download, fault, isAsking, words }: Situation): string {
  if (isAsking) return words.sure;
  if (fault || state === "idle") return "";
  if (state === "starting") return words.starting;
  if (isHalted(download)) return words.all_paused;
  if (state !== "downloading") return words[state];
  const quarter = Math.floor((download?.progress.percentage ?? 0) / 25) * 25;
  return quarter === 0 ? words.downloading : percent(quarter);
}
