import { signal } from "@preact/signals";
import { render } from "preact";
import { control, type Download, login, start, type Verb } from "./api.ts";
import { clock, percent, size } from "./format.ts";
import { connect, downloads, type Link, link, needsKey } from "./live.ts";

/** States each command is allowed in. */
const ALLOWED: Record<Verb, readonly Download["state"][]> = {
  pause: ["queued", "downloading", "verifying"],
  resume: ["paused"],
  cancel: ["queued", "downloading", "verifying", "paused", "creating_engine"],
  retry: ["failed", "cancelled"],
};
const VERBS = Object.keys(ALLOWED) as Verb[];

const LINKS: Record<Link, string> = {
  connecting: "connecting…",
  live: "live",
  polling: "asking every 2 s",
  offline: "no connection",
};

const notice = signal("");

/** Runs what a click asked for; what goes wrong is told on the page. */
async function attempt(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    notice.value = "";
    return true;
  } catch (error) {
    notice.value = error instanceof Error ? error.message : String(error);
    return false;
  }
}

async function submit(event: SubmitEvent, work: (fields: FormData) => Promise<unknown>): Promise<void> {
  event.preventDefault();
  const form = event.currentTarget as HTMLFormElement;
  if (await attempt(() => work(new FormData(form)))) form.reset();
}

const text = (fields: FormData, name: string): string => String(fields.get(name) ?? "").trim();

function Login() {
  const enter = async (fields: FormData): Promise<void> => {
    await login(text(fields, "key"));
    await connect();
  };
  return (
    <form onSubmit={(event) => submit(event, enter)}>
      <input
        name="key"
        type="password"
        required
        autocomplete="current-password"
        aria-label="API key"
        placeholder="API key"
      />
      <button type="submit">Log in</button>
    </form>
  );
}

function Start() {
  return (
    <form onSubmit={(event) => submit(event, (fields) => start(text(fields, "what"), text(fields, "file")))}>
      <input name="what" required aria-label="URL or repository" placeholder="https://… or org/name" />
      <input name="file" aria-label="File (optional)" placeholder="file (optional)" />
      <button type="submit">Download</button>
    </form>
  );
}

function waitingFor({ waiting, state }: Download): string {
  if (waiting === undefined || waiting.reason === "queue" || state === "paused")
    return state.replace("_", " ");
  return `${state}, waiting: ${waiting.reason.replace("_", " ")}`;
}

function Row({ download }: { download: Download }) {
  const { progress, timing, state, waiting, last_error } = download;
  const total = progress.total_bytes;
  const left = timing.estimated_remaining_seconds;
  const act = (verb: Verb): void => {
    if (verb === "cancel" && !confirm(`Cancel ${download.model_id}? What has arrived is deleted.`)) return;
    void attempt(() => control(download.id, verb));
  };
  return (
    <li data-id={download.id}>
      <div class="facts">
        <span class="name">{download.model_id}</span>
        <span class={state}>{waitingFor(download)}</span>
      </div>
      <progress max={100} value={progress.percentage} aria-label={`Progress of ${download.model_id}`} />
      <div class="facts">
        <span class="percent">{percent(progress.percentage)}</span>
        <span>
          {size(progress.downloaded_bytes)}
          {total > 0 ? ` of ${size(total)}` : ""}
        </span>
        {state === "downloading" && <span>{size(download.speed)}/s</span>}
        {left !== undefined && <span>{clock(left)} left</span>}
        {download.files_total > 1 && (
          <span class="faint">
            {download.files_done} of {download.files_total} files
          </span>
        )}
      </div>
      {download.error_message && <p class="error">{download.error_message}</p>}
      {waiting && last_error && <p class="faint">{last_error.message}</p>}
      <div class="buttons">
        {VERBS.map((verb) => (
          <button
            key={verb}
            type="button"
            disabled={!ALLOWED[verb].includes(state)}
            onClick={() => act(verb)}
          >
            {verb[0]?.toUpperCase() + verb.slice(1)}
          </button>
        ))}
      </div>
    </li>
  );
}

function App() {
  return (
    <>
      <header>
        <h1>modelhaul</h1>
        <span class="faint" role="status">
          {LINKS[link.value]}
        </span>
      </header>
      {needsKey.value ? <Login /> : <Start />}
      {notice.value !== "" && (
        <p class="error" role="alert">
          {notice}
        </p>
      )}
      {downloads.value.length === 0 && !needsKey.value && <p class="faint">No downloads.</p>}
      <ul>
        {downloads.value.map((download) => (
          <Row key={download.id} download={download} />
        ))}
      </ul>
    </>
  );
}

render(<App />, document.getElementById("app") as HTMLElement);
void connect();
