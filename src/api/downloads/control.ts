import type { DownloadChange, Downloads, Outcome, QueueMove } from "../../core/downloads.ts";
import { startOrGoOn } from "../../core/ensure.ts";
import type { Snapshot } from "../../core/feed.ts";
import type { Clock } from "../../core/ports.ts";
import { present, presentOne, STATUS } from "./present.ts";
import { engineBrief } from "./present-engine.ts";
import type { Replays } from "./replays.ts";
import type { ChangeBody, StartBody } from "./schemas.ts";
import { invalid, retryPatch, startRequest } from "./start.ts";

export const VERBS = ["pause", "resume", "cancel", "retry"] as const;
export type Verb = (typeof VERBS)[number];

const DONE: Record<Verb, string> = {
  pause: "Download paused successfully",
  resume: "Download resumed successfully",
  cancel: "Download cancelled successfully",
  retry: "Download queued again successfully",
};

/** The commands of this family from body to body; REST and WebSocket share them. Errors are thrown as they are. */
export class Control {
  readonly #downloads: Downloads;
  readonly #clock: Clock;

  constructor(downloads: Downloads, clock: Clock) {
    this.#downloads = downloads;
    this.#clock = clock;
  }

  /** `replays` and `key`: sent again, it is begun once. */
  async start(body: StartBody, replays?: Replays, key: string | null = null) {
    const request = startRequest(body);
    const begin = (labels: Record<string, string> = {}) =>
      startOrGoOn(this.#downloads, { ...request, labels: { ...request.labels, ...labels } });
    const download =
      replays === undefined || key === null ? await begin() : await replays.once(key, body, begin);
    return presentOne(download, this.#clock.now());
  }

  async run(verb: Verb, id: string) {
    const outcome = await this.#downloads[verb](id);
    return verb === "cancel" ? this.#cancelled(outcome) : answer(verb, outcome.download);
  }

  async change(id: string, body: ChangeBody) {
    const snapshot = await this.#downloads.change(id, changeRequest(body));
    return present(snapshot, this.#clock.now());
  }

  /** R72, with A20's status. */
  #cancelled({ download, previous }: Outcome) {
    return {
      ...answer("cancel", download),
      previous_status: STATUS[previous],
      download_type: download.type,
      timestamp: this.#clock.now(),
      ...(download.engine === null ? {} : { engine_creation: engineBrief(download.engine) }),
    };
  }
}

const answer = (verb: Verb, download: Snapshot) => ({
  success: true,
  message: DONE[verb],
  model_id: download.modelId,
  id: download.id,
  status: STATUS[download.state],
  state: download.state,
});

function changeRequest(body: ChangeBody): DownloadChange {
  return {
    priority: body.priority,
    move: move(body),
    rateLimit: body.rate_limit_bps,
    retry: body.retry && retryPatch(body.retry),
  };
}

function move({ before, after, position }: ChangeBody): QueueMove | undefined {
  if ([before, after, position].filter((place) => place !== undefined).length > 1)
    throw invalid("Give only one of 'before', 'after' and 'position'", "position");
  if (before !== undefined) return { before };
  if (after !== undefined) return { after };
  return position === undefined ? undefined : { position };
}
