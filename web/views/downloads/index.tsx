import "./downloads.css";
import "./rows.css";
import "./details.css";
import "./narrow.css";
import { Button } from "../../parts/button.tsx";
import { Empty, ErrorBox, Loading, NoticeBox } from "../../parts/states.tsx";
import { busy, changeSettings } from "../../state/actions.ts";
import { connection } from "../../state/connection.ts";
import { isHalted } from "../../state/halt.ts";
import { prefs } from "../../state/prefs.ts";
import { href } from "../../state/route.ts";
import { downloads, isLoaded, order } from "../../state/store.ts";
import { SpeedChart } from "./chart.tsx";
import { fault, refreshNow } from "./fault.ts";
import { LimitHost } from "./limits.tsx";
import { DownloadList } from "./list.tsx";
import { told } from "./queue.ts";
import { useUnhidden } from "./show.ts";
import { Toolbar } from "./toolbar.tsx";

/** All downloads, and what can be done to them. */
export function DownloadsView() {
  useUnhidden();
  return (
    <div class="downloads-view">
      <h2 class="unseen">Downloads</h2>
      <SpeedChart />
      <Toolbar />
      <Banner />
      <Halt />
      <Shown />
      <p class="unseen" aria-live="polite">
        {told}
      </p>
      <LimitHost />
    </div>
  );
}

function Shown() {
  if (order.value.length > 0) return <DownloadList />;
  if (!isLoaded.value)
    return connection.value.kind === "offline" ? null : <Loading label="Loading downloads" />;
  if (downloads.value.size === 0)
    return (
      <Empty title="No active downloads">
        <p>Nothing has been downloaded yet.</p>
        <a class="button primary" href={href("add")}>
          Add a download
        </a>
      </Empty>
    );
  return <NoneMatch />;
}

function NoneMatch() {
  const all = (): void => {
    prefs.filter.value = "all";
    prefs.search.value = "";
  };
  const { filter, search } = prefs;
  const word = filter.value === "all" ? "" : `${filter.value} `;
  return (
    <Empty
      title={search.value === "" ? `No ${word}downloads` : `No ${word}downloads match “${search.value}”`}
      icon="search"
    >
      <Button onClick={all}>Show all</Button>
    </Empty>
  );
}

/** Of one that is waiting nobody would find out why. */
function Halt() {
  if (!isHalted.value) return null;
  return (
    <div role="status">
      <NoticeBox
        icon="pause"
        title="All downloads are paused"
        action={
          <Button
            kind="primary"
            icon="play"
            busy={busy("settings")}
            onClick={() => void changeSettings({ paused: false })}
          >
            Let downloads run
          </Button>
        }
      >
        The settings let none run. What has arrived is kept, and new ones wait in the queue.
      </NoticeBox>
    </div>
  );
}

/** That the server does not answer at all is said above every view. */
function Banner() {
  if (fault.value === "") return null;
  return (
    <div role="alert">
      <ErrorBox
        title="The list could not be refreshed"
        action={<Button onClick={() => void refreshNow()}>Try again</Button>}
      >
        {fault.value}
      </ErrorBox>
    </div>
  );
}
