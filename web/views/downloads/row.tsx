/** One download in the list. It reads its own signal only: an update draws this row and no other. */
import { useMemo } from "preact/hooks";
import { Bar } from "../../parts/bar.tsx";
import { IconButton } from "../../parts/button.tsx";
import { bytes, duration, percent, remaining, speed, stateWord, time } from "../../parts/format.ts";
import { Icon } from "../../parts/icon.tsx";
import { cancel, pause, remove, resume, retry } from "../../state/actions.ts";
import { isStale } from "../../state/connection.ts";
import { type Row, row } from "../../state/store.ts";
import { isFinished } from "../../state/tally.ts";
import type { DownloadItem } from "../../state/types.ts";
import { may } from "./allowed.ts";
import { elapsed, secondsUntil } from "./clock.ts";
import { Details } from "./details.tsx";
import { startDrag } from "./drag.ts";
import { isQueueOrder } from "./queue.ts";
import { RowMenu } from "./row-menu.tsx";
import { current, selected, toggle } from "./selection.ts";
import { type Still, useStill } from "./still.ts";
import { open, toggleDetails } from "./unfolded.ts";
import { plain, sourceOf, troubleOf, waitWords } from "./words.ts";

export function DownloadRow({ id }: { id: string }) {
  const own = row(id);
  const download = own.value;
  if (!download) return null;
  return <Shown download={download} row={own} isOpen={open.value.has(id)} />;
}

/** With each update only the numbers are drawn again; the rest only when something else has changed. */
function Shown({ download, row, isOpen }: { download: DownloadItem; row: Row; isOpen: boolean }) {
  const still = useStill(download);
  const front = useMemo(
    () => (
      <>
        <Lead download={still} />
        <Name download={still} isOpen={isOpen} />
        <State download={still} />
      </>
    ),
    [still, isOpen],
  );
  const actions = useMemo(() => <Actions download={still} isOpen={isOpen} />, [still, isOpen]);
  return (
    <>
      <div class={`dl is-${download.state}`}>
        {front}
        <Progress download={download} />
        <Figures download={download} />
        {actions}
      </div>
      {isOpen && <Details download={download} row={row} />}
    </>
  );
}

/** Controls of a row are reached by Tab from the row that has the focus, not from every row. */
const tabOf = (id: string): number => (current.value === id ? 0 : -1);

function Lead({ download }: { download: Still }) {
  const { id, model_id } = download;
  const canMove = may("move", download) && isQueueOrder();
  return (
    <span class="dl-lead">
      {canMove ? (
        // For the mouse and the finger; the keyboard has Alt with the arrows, and the menu.
        <span
          class="grip"
          aria-hidden="true"
          title="Drag to reorder"
          onPointerDown={(event) => startDrag(event, id)}
        >
          <Icon name="drag" />
        </span>
      ) : (
        <span class="grip-none" />
      )}
      <input
        type="checkbox"
        aria-label={`Select ${model_id}`}
        checked={selected.value.has(id)}
        tabIndex={tabOf(id)}
        onChange={() => toggle(id)}
      />
    </span>
  );
}

function Name({ download, isOpen }: { download: Still; isOpen: boolean }) {
  const { id, model_id } = download;
  const trouble = troubleOf(download);
  return (
    <div class="dl-name">
      <button
        type="button"
        class="dl-title"
        title={model_id}
        aria-label={plain(model_id)}
        aria-expanded={isOpen}
        tabIndex={tabOf(id)}
        onClick={() => toggleDetails(id)}
      >
        <Icon name="chevron" size={12} />
        <Id text={plain(model_id)} />
      </button>
      {trouble?.final ? (
        <span class="dl-sub dl-trouble" title={trouble.message}>
          {trouble.cause}. {trouble.advice}
        </span>
      ) : (
        <span class="dl-sub">{subWords(download)}</span>
      )}
    </div>
  );
}

/** Letters at the end that tell one file of a model from another: `-Q4_K_M.gguf`. */
const TAIL = 14;

/** Of a name that is too long the repository is cut first, then left out, then the middle of the file's name is cut; its end always stays. */
function Id({ text }: { text: string }) {
  const at = text.lastIndexOf("/") + 1;
  const tail = Math.max(at, text.length - TAIL);
  return (
    <span class="dl-id">
      <span class="dl-repo">{text.slice(0, at)}</span>
      <span class="dl-file">
        <span>{text.slice(at, tail)}</span>
        <span>{text.slice(tail)}</span>
      </span>
    </span>
  );
}

/** Where it comes from, and what is special about it. */
function subWords(download: Still): string {
  const { engine_creation, files_total, files_done, priority, rate_limit_bps } = download;
  const parts = [
    sourceOf(download),
    files_total > 1 && `${files_done} of ${files_total} files`,
    engine_creation && `engine ${engine_creation.engine_id}`,
    priority !== 0 && `priority ${priority}`,
    rate_limit_bps > 0 && `at most ${speed(rate_limit_bps)}`,
  ];
  return plain(parts.filter(Boolean).join(" · "));
}

function State({ download }: { download: Still }) {
  const { state, position, waiting, last_error, warnings } = download;
  const wait = waitWords(download);
  const left = secondsUntil(waiting?.until);
  return (
    <div class="dl-state">
      <span class={`badge is-${state}`}>
        {stateWord(state)}
        {state === "queued" && position !== undefined && wait === undefined && ` · ${position}`}
      </span>
      {wait !== undefined && (
        <span class="dl-wait" title={last_error?.message}>
          {wait}
          {left !== undefined && `, ${duration(left)}`}
        </span>
      )}
      {warnings.length > 0 && (
        <span class="dl-wait">{warnings.length === 1 ? "1 warning" : `${warnings.length} warnings`}</span>
      )}
    </div>
  );
}

function Progress({ download }: { download: DownloadItem }) {
  const { total_bytes, percentage } = download.progress;
  const isKnown = total_bytes > 0 || download.state === "completed";
  const share = download.state === "completed" ? 100 : percentage;
  const isMoving = download.state === "downloading" || isKnown;
  return (
    <div class="dl-progress">
      <Bar
        percentage={isKnown ? share : isMoving ? undefined : 0}
        state={download.state}
        label={`Progress of ${download.model_id}`}
      />
      <span class="dl-percent">{isKnown ? percent(share) : "–"}</span>
      <span class="dl-bytes">{amountWords(download)}</span>
    </div>
  );
}

/** `1.5 GB of 3 GB`, or as much of that as is known. */
function amountWords({ state, progress: { downloaded_bytes, total_bytes } }: DownloadItem): string {
  if (total_bytes > 0 && state !== "completed") return `${bytes(downloaded_bytes)} of ${bytes(total_bytes)}`;
  const known = Math.max(downloaded_bytes, total_bytes);
  return known > 0 ? bytes(known) : "";
}

function Figures({ download }: { download: DownloadItem }) {
  const { state, speed: now } = download;
  const left = remaining(download);
  return (
    <div class="dl-figures">
      <span class="dl-speed">{state === "downloading" && !isStale.value ? speed(now) : ""}</span>
      <span class="dl-left">{left !== undefined && !isStale.value ? `${duration(left)} left` : ""}</span>
      <span class="dl-elapsed">{timeWords(download)}</span>
    </div>
  );
}

/** How long it has taken; what does not move yet has nothing to say. */
function timeWords(download: DownloadItem): string {
  const { state, timing } = download;
  if (state === "queued" || state === "paused") return "";
  const took = duration(elapsed(download));
  if (!isFinished(state)) return `${took} elapsed`;
  return timing.end_time === undefined ? `in ${took}` : `in ${took}, ${time(timing.end_time)}`;
}

function Actions({ download, isOpen }: { download: Still; isOpen: boolean }) {
  const { id, model_id, state } = download;
  const tabIndex = tabOf(id);
  const first =
    state === "paused"
      ? ({ icon: "play", word: "Resume", act: "resume", run: resume } as const)
      : may("retry", download)
        ? ({ icon: "retry", word: "Retry", act: "retry", run: retry } as const)
        : ({ icon: "pause", word: "Pause", act: "pause", run: pause } as const);
  return (
    <div class="dl-actions">
      <IconButton
        icon={first.icon}
        label={`${first.word} ${model_id}`}
        disabled={!may(first.act, download)}
        tabIndex={tabIndex}
        onClick={() => void first.run(id)}
      />
      {isFinished(state) ? (
        <IconButton
          icon="trash"
          label={`Remove ${model_id}`}
          tabIndex={tabIndex}
          onClick={() => void remove(id)}
        />
      ) : (
        <IconButton
          icon="close"
          label={`Cancel ${model_id}`}
          disabled={!may("cancel", download)}
          tabIndex={tabIndex}
          onClick={() => void cancel(id)}
        />
      )}
      <RowMenu download={download} isOpen={isOpen} onDetails={() => toggleDetails(id)} tabIndex={tabIndex} />
    </div>
  );
}
