/** How the page is connected, and what a reader may do about it (A27). */
import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useId } from "preact/hooks";
import { Button } from "../parts/button.tsx";
import { time } from "../parts/format.ts";
import { Select } from "../parts/select.tsx";
import { Switch } from "../parts/switch.tsx";
import { tell } from "../state/actions.ts";
import { type Connection, connection, isRefreshing, refresh, retryNow } from "../state/connection.ts";
import { INTERVALS, prefs } from "../state/prefs.ts";

export function words({ kind }: Pick<Connection, "kind">, interval: number): string {
  if (kind === "live" || kind === "sse") return "live";
  if (kind === "polling") return `every ${interval} s`;
  if (kind === "offline") return "no connection";
  return kind === "locked" ? "locked" : "connecting";
}

const EXPLAINED: Record<Connection["kind"], string> = {
  live: "Every change is shown as it happens.",
  sse: "Every change is shown as it happens, through a stream of events: a WebSocket does not come through.",
  polling: "The page asks the server again and again.",
  offline: "The server does not answer.",
  connecting: "The page is connecting to the server.",
  locked: "The server wants its API key.",
};

const askAgain = (): void => void refresh().catch(tell);

/** Button with the state; what it opens has the live switch, the interval and why things are as they are. */
export function ConnectionControl() {
  const panel = useId();
  const { kind } = connection.value;
  const { live, interval } = prefs;
  return (
    <div class="link">
      <button
        type="button"
        class={`button quiet link-button ${kind}`}
        popovertarget={panel}
        aria-label={`Connection: ${words(connection.value, interval.value)}`}
      >
        <span>{words(connection.value, interval.value)}</span>
      </button>
      <div class="link-panel" id={panel} popover="auto">
        <p>{EXPLAINED[kind]}</p>
        <Switch label="Live" checked={live.value} onChange={(on) => (live.value = on)} />
        <Select
          label={live.value ? "Without live, ask every" : "Ask every"}
          value={interval.value}
          options={INTERVALS.map((seconds) => ({ value: seconds, label: `${seconds} s` }))}
          onChange={(seconds) => (interval.value = seconds)}
        />
        <Button icon="retry" busy={isRefreshing.value} onClick={askAgain}>
          Refresh now
        </Button>
      </div>
    </div>
  );
}

/** Says so when what is shown may not be true any more. */
export function ConnectionBanner() {
  const isOffline = useComputed(() => connection.value.kind === "offline").value;
  return (
    <div class={isOffline ? "banner" : "unseen"} role="status">
      {isOffline && <Offline />}
    </div>
  );
}

function Offline() {
  const { since, nextTryAt, message } = connection.value;
  return (
    <>
      <p>
        {message ?? "The server does not answer."} What is shown is from {time(since)}.{" "}
        {nextTryAt !== undefined && <Countdown until={nextTryAt} />}
      </p>
      <Button onClick={retryNow}>Try now</Button>
    </>
  );
}

/** Counts for the eye only: a screen reader would be told every second. */
function Countdown({ until }: { until: number }) {
  const now = useSignal(Date.now());
  useEffect(() => {
    const timer = setInterval(() => (now.value = Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.max(0, Math.ceil((until - now.value) / 1000));
  return <span aria-hidden="true">{seconds === 0 ? "Trying…" : `Next try in ${seconds} s.`}</span>;
}
