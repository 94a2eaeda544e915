/** All there is to know of one download: facts, trouble, engine, files. Files are asked for when they are wanted. */
import { useSignal, useSignalEffect } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { Bar } from "../../parts/bar.tsx";
import { Button } from "../../parts/button.tsx";
import { bytes, date, duration, percent, remaining, speed } from "../../parts/format.ts";
import { details } from "../../state/actions.ts";
import { href } from "../../state/route.ts";
import type { Row } from "../../state/store.ts";
import type { DownloadItem, FileItem } from "../../state/types.ts";
import { BOTTLENECKS, linkOf, type Trouble, troubleOf } from "./words.ts";

export function Details({ download, row }: { download: DownloadItem; row: Row }) {
  const trouble = troubleOf(download);
  return (
    <div class="details">
      {trouble && <TroubleBox trouble={trouble} />}
      {download.warnings.length > 0 && (
        <ul class="details-warnings" aria-label="Warnings">
          {download.warnings.map((text) => (
            <li key={text}>{text}</li>
          ))}
        </ul>
      )}
      <Facts download={download} />
      {download.engine_creation && <EngineBox engine={download.engine_creation} />}
      <Files row={row} />
    </div>
  );
}

function TroubleBox({ trouble }: { trouble: Trouble }) {
  const { cause, message, advice, final, reference } = trouble;
  return (
    <section class={final ? "trouble" : "trouble trouble-mild"} aria-label="Error">
      <p>
        <strong>{cause}.</strong> {final ? advice : "It is tried again by itself."}
      </p>
      {message !== "" && <p class="trouble-message">{message}</p>}
      {reference !== undefined && <a href={href("add", { ref: reference })}>Add it again</a>}
    </section>
  );
}

function EngineBox({ engine }: { engine: NonNullable<DownloadItem["engine_creation"]> }) {
  const { engine_id, main_gpu_id, load_immediately, inference_engine, model_type } = engine;
  return (
    <section class="engine-box" aria-label="Engine">
      <h4>Engine {engine_id}</h4>
      <dl class="facts">
        <Fact name="GPU">{main_gpu_id < 0 ? "automatic" : main_gpu_id}</Fact>
        <Fact name="Auto-load">{load_immediately ? "Yes" : "No"}</Fact>
        <Fact name="Kind">{model_type === "embedding" ? "Embedding" : "Language model"}</Fact>
        {inference_engine !== "" && <Fact name="Runs on">{inference_engine}</Fact>}
      </dl>
    </section>
  );
}

function Fact({ name, wide, children }: { name: string; wide?: boolean; children: ComponentChildren }) {
  return (
    <div class={wide ? "fact fact-wide" : "fact"}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Facts({ download }: { download: DownloadItem }) {
  const { progress, timing, priority, position, rate_limit_bps, connections, bottleneck, attempts } =
    download;
  const link = linkOf(download.url);
  const left = remaining(download);
  return (
    <dl class="facts">
      <Fact name="Downloaded">{bytes(progress.downloaded_bytes)}</Fact>
      <Fact name="Total size">
        {progress.total_bytes > 0 ? bytes(progress.total_bytes) : "not known yet"}
      </Fact>
      <Fact name="Average speed">{speed(progress.download_speed_bps)}</Fact>
      <Fact name="Elapsed">{duration(timing.elapsed_seconds)}</Fact>
      {left !== undefined && <Fact name="Remaining">{duration(left)}</Fact>}
      <Fact name="Added">{date(timing.start_time)}</Fact>
      {timing.end_time !== undefined && <Fact name="Ended">{date(timing.end_time)}</Fact>}
      <Fact name="Type">{download.type === "startup" ? "Startup download" : "Regular download"}</Fact>
      {download.state === "queued" && position !== undefined && <Fact name="Place in queue">{position}</Fact>}
      <Fact name="Priority">{priority}</Fact>
      <Fact name="Speed limit">{rate_limit_bps > 0 ? speed(rate_limit_bps) : "none"}</Fact>
      {connections > 0 && <Fact name="Connections">{connections}</Fact>}
      {bottleneck !== undefined && <Fact name="Why not faster">{BOTTLENECKS[bottleneck]}</Fact>}
      {attempts > 0 && <Fact name="Failed tries">{attempts}</Fact>}
      {download.commit !== undefined && <Fact name="Commit">{download.commit.slice(0, 12)}</Fact>}
      <Fact name="Source" wide>
        {link === undefined ? (
          download.url
        ) : (
          <a href={link} target="_blank" rel="noreferrer">
            {download.url}
          </a>
        )}
      </Fact>
      {download.local_path !== "" && (
        <Fact name="On disk" wide>
          {download.local_path}
        </Fact>
      )}
    </dl>
  );
}

/** So often at most the files of a download that moves are asked for again. */
const EVERY_MS = 2000;

function Files({ row }: { row: Row }) {
  const isOpen = useSignal(false);
  const files = useSignal<readonly FileItem[] | undefined>(undefined);
  const fault = useSignal("");
  useSignalEffect(() => {
    const id = row.peek()?.id;
    if (!isOpen.value || id === undefined) return;
    return follow(row, async () => {
      try {
        files.value = (await details(id)).files ?? [];
        fault.value = "";
      } catch (error) {
        fault.value = error instanceof Error ? error.message : String(error);
      }
    });
  });
  const { files_total = 0, files_done = 0 } = row.value ?? {};
  return (
    <section class="files" aria-label="Files">
      <Button kind="quiet" expanded={isOpen.value} onClick={() => (isOpen.value = !isOpen.value)}>
        {isOpen.value ? "Hide files" : "Show files"}
        {files_total > 0 && ` (${files_done} of ${files_total} complete)`}
      </Button>
      {isOpen.value && fault.value !== "" && <p class="trouble-message">{fault.value}</p>}
      {isOpen.value && files.value !== undefined && <FileList files={files.value} />}
    </section>
  );
}

/** Now, and again while the download changes. Answers how to stop. */
function follow(row: Row, load: () => Promise<void>): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isStale = false;
  const run = (): void => {
    isStale = false;
    timer = setTimeout(() => {
      timer = undefined;
      if (isStale) run();
    }, EVERY_MS);
    void load();
  };
  const stop = row.subscribe(() => {
    isStale = true;
    if (timer === undefined) run();
  });
  return () => {
    stop();
    clearTimeout(timer);
  };
}

function FileList({ files }: { files: readonly FileItem[] }) {
  if (files.length === 0) return <p class="faint">Which files it has is not known yet.</p>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls has to be reached by keyboard
    <ul class="file-list" tabIndex={0} aria-label="Files of this download">
      {files.map((file) => (
        <FileRow key={file.id} file={file} />
      ))}
    </ul>
  );
}

function FileRow({ file }: { file: FileItem }) {
  const { path, size, bytes: there, state, verified, error } = file;
  const share = size > 0 ? Math.min(100, (there / size) * 100) : state === "done" ? 100 : 0;
  return (
    <li class="file">
      <span class="file-path">{path}</span>
      <span class="file-size">{size > 0 ? bytes(size) : ""}</span>
      {state === "pending" ? (
        <Bar percentage={size > 0 ? share : undefined} state="downloading" label={`Progress of ${path}`} />
      ) : (
        <span class={`file-state is-${state}`}>
          {state === "failed" ? "Failed" : verified ? "Verified" : "Complete"}
        </span>
      )}
      {state === "pending" && <span class="file-percent">{percent(share)}</span>}
      {error && <span class="file-error">{error.message}</span>}
    </li>
  );
}
