import { Bar } from "../../parts/bar.tsx";
import { Button } from "../../parts/button.tsx";
import { bytes, percent, speed, stateWord } from "../../parts/format.ts";
import { Empty } from "../../parts/states.tsx";
import { VirtualList } from "../../parts/virtual-list.tsx";
import { busy, cancel, may, pause, resume, retry } from "../../state/actions.ts";
import { order, row } from "../../state/store.ts";

/** All downloads. */
export function DownloadsView() {
  if (order.value.length === 0) return <Empty title="No downloads" />;
  return (
    <VirtualList label="Downloads" ids={order.value} rowHeight={120} render={(id) => <Item id={id} />} />
  );
}

const VERBS = { pause, resume, cancel, retry } as const;

function Item({ id }: { id: string }) {
  const download = row(id).value;
  if (!download) return null;
  const { progress, state } = download;
  return (
    <article>
      <strong>{download.model_id}</strong> <span>{stateWord(state)}</span>
      <Bar percentage={progress.percentage} state={state} label={`Progress of ${download.model_id}`} />
      <span class="percent">{percent(progress.percentage)}</span> {bytes(progress.downloaded_bytes)}{" "}
      {speed(download.speed)}
      {download.error_message && <p class="error">{download.error_message}</p>}
      {Object.entries(VERBS).map(([verb, act]) => (
        <Button
          key={verb}
          disabled={!may(verb as keyof typeof VERBS, state)}
          busy={busy(id)}
          onClick={() => void act(id)}
        >
          {verb[0]?.toUpperCase() + verb.slice(1)}
        </Button>
      ))}
    </article>
  );
}
