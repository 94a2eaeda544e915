/** What is shown, in which order, and what is done to all of it. */
import { useSignal } from "@preact/signals";
import { Button, IconButton } from "../../parts/button.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { number, speed } from "../../parts/format.ts";
import { Icon } from "../../parts/icon.tsx";
import { Menu } from "../../parts/menu.tsx";
import { Select } from "../../parts/select.tsx";
import { busy, clearHistory } from "../../state/actions.ts";
import { cancelAll, pauseAll, resumeAll } from "../../state/bulk.ts";
import { isRefreshing } from "../../state/connection.ts";
import { confirm } from "../../state/notices.ts";
import { FILTERS, type Filter, prefs, SORTS, type Sort } from "../../state/prefs.ts";
import { counters, settings } from "../../state/store.ts";
import { refreshNow } from "./fault.ts";
import { KEYS } from "./keys.ts";
import { askTotalLimit } from "./limits.tsx";
import { selected } from "./selection.ts";
import { SelectionBar } from "./selection-bar.tsx";

const FILTER_WORDS: Record<Filter, string> = {
  all: "All",
  active: "Active",
  queued: "Queued",
  paused: "Paused",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
};

const SORT_WORDS: Record<Sort, string> = {
  queue: "Queue order",
  name: "Name",
  size: "Size",
  progress: "Progress",
  speed: "Speed",
  added: "Added",
  ended: "Ended",
};

export function Toolbar() {
  return (
    <div class="tools">
      <Filters />
      <div class="tools-find">
        <Search />
        <Order />
      </div>
      {selected.value.size > 0 ? <SelectionBar /> : <AllBar />}
    </div>
  );
}

function Filters() {
  return (
    <fieldset class="filters">
      <legend class="unseen">Show</legend>
      {FILTERS.map((filter) => (
        <button
          key={filter}
          type="button"
          class="filter"
          aria-pressed={prefs.filter.value === filter}
          onClick={() => {
            prefs.filter.value = filter;
          }}
        >
          {FILTER_WORDS[filter]} <span class="filter-count">{number(counters.value.filters[filter])}</span>
        </button>
      ))}
    </fieldset>
  );
}

function Search() {
  return (
    <search class="search">
      <Icon name="search" />
      <input
        class="input"
        type="search"
        aria-label="Search"
        placeholder="Search"
        autocomplete="off"
        spellcheck={false}
        value={prefs.search.value}
        onInput={({ currentTarget }) => {
          prefs.search.value = currentTarget.value;
        }}
      />
    </search>
  );
}

function Order() {
  const isDown = prefs.descending.value;
  return (
    <div class="order">
      <Select
        label="Sort by"
        hidden
        value={prefs.sort.value}
        options={SORTS.map((value) => ({ value, label: SORT_WORDS[value] }))}
        onChange={(sort) => {
          prefs.sort.value = sort;
        }}
      />
      <IconButton
        icon="sort"
        label="Reverse order"
        pressed={isDown}
        onClick={() => {
          prefs.descending.value = !isDown;
        }}
      />
    </div>
  );
}

function AllBar() {
  const { total, filters } = counters.value;
  const isBusy = busy("all");
  const isCancelling = useSignal(false);
  const cancel = async (): Promise<void> => {
    isCancelling.value = true;
    await cancelAll();
    isCancelling.value = false;
  };
  const ended = filters.completed + filters.failed + filters.cancelled;
  const limit = settings.value?.rate_limit_bps ?? 0;
  return (
    <fieldset class="bulk">
      <legend class="unseen">All downloads</legend>
      <Button icon="pause" disabled={isBusy || total === filters.paused} onClick={() => void pauseAll()}>
        Pause all
      </Button>
      <Button icon="play" disabled={isBusy || filters.paused === 0} onClick={() => void resumeAll()}>
        Resume all
      </Button>
      <Button kind="danger" icon="close" disabled={isBusy || total === 0} onClick={() => void cancel()}>
        {isBusy && isCancelling.value ? "Cancelling…" : "Cancel all"}
      </Button>
      <span class="bulk-end">
        <span class={isRefreshing.value ? "refresh-busy" : ""} aria-busy={isRefreshing.value}>
          <IconButton icon="retry" label="Refresh now" onClick={() => void refreshNow()} />
        </span>
        <More ended={ended} limit={limit} />
      </span>
    </fieldset>
  );
}

function More({ ended, limit }: { ended: number; limit: number }) {
  const isHelp = useSignal(false);
  return (
    <>
      <Menu
        label="More for all downloads"
        items={[
          {
            label: limit > 0 ? `Total speed limit: ${speed(limit)}…` : "Total speed limit…",
            icon: "speed",
            onSelect: () => void askTotalLimit(),
          },
          {
            label: `Remove finished (${number(ended)})`,
            icon: "trash",
            disabled: ended === 0 || busy("history"),
            onSelect: () => void removeFinished(),
          },
          "separator",
          {
            label: "Keyboard",
            icon: "info",
            onSelect: () => {
              isHelp.value = true;
            },
          },
        ]}
      />
      {isHelp.value && (
        <Dialog
          title="Keyboard"
          onClose={() => {
            isHelp.value = false;
          }}
        >
          <dl class="keys">
            {KEYS.map(([keys, what]) => (
              <div key={keys}>
                <dt>
                  <kbd>{keys}</kbd>
                </dt>
                <dd>{what}</dd>
              </div>
            ))}
          </dl>
        </Dialog>
      )}
    </>
  );
}

async function removeFinished(): Promise<void> {
  const isSure = await confirm({
    title: "Remove finished downloads from the list?",
    text: "Completed, failed and cancelled ones go. The files stay on disk.",
    yes: "Remove from list",
    no: "Keep them",
  });
  if (isSure) await clearHistory();
}
