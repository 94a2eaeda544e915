import type { BulkOutcome } from "../../core/downloads.ts";
import { STATUS } from "./present.ts";
import { engineBrief } from "./present-engine.ts";

const failures = (outcome: BulkOutcome) =>
  outcome.failed.map(({ download, reason }) => ({
    model_id: download.modelId,
    status: STATUS[download.state],
    reason,
  }));

/** R76-R78, with A20's count. `now` is epoch milliseconds. */
export function presentBulkCancel(outcome: BulkOutcome, now: number) {
  const { done, failed } = outcome;
  const startup = done.filter(({ download }) => download.type === "startup").length;
  return {
    success: true,
    message: "Bulk download cancellation completed",
    summary: {
      total_downloads: done.length + failed.length,
      successful_cancellations: done.length,
      failed_cancellations: failed.length,
      startup_cancellations: startup,
      regular_cancellations: done.length - startup,
    },
    cancelled_count: done.length,
    cancelled_downloads: done.map(({ download, previous }) => ({
      model_id: download.modelId,
      previous_status: STATUS[previous],
      download_type: download.type,
      cancelled_at: download.endedAt ?? now,
      ...(download.engine === null ? {} : { engine_creation: engineBrief(download.engine) }),
    })),
    failed_cancellations: failures(outcome),
    timestamp: now,
  };
}

/** Pause and resume of all, in the manner of the seed's bulk cancel: `noun` as in `failed_pauses`, `verb` as in `paused_downloads`. */
function presentBulk(outcome: BulkOutcome, noun: string, verb: string, message: string, now: number) {
  const { done, failed } = outcome;
  return {
    success: true,
    message,
    summary: {
      total_downloads: done.length + failed.length,
      [`successful_${noun}`]: done.length,
      [`failed_${noun}`]: failed.length,
    },
    [`${verb}_downloads`]: done.map(({ download, previous }) => ({
      model_id: download.modelId,
      previous_status: STATUS[previous],
      status: STATUS[download.state],
    })),
    [`failed_${noun}`]: failures(outcome),
    timestamp: now,
  };
}

export const presentBulkPause = (outcome: BulkOutcome, now: number) =>
  presentBulk(outcome, "pauses", "paused", "Bulk download pause completed", now);

export const presentBulkResume = (outcome: BulkOutcome, now: number) =>
  presentBulk(outcome, "resumes", "resumed", "Bulk download resume completed", now);
