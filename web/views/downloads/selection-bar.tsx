/** What can be done to the selected downloads; in the place of what is done to all. */
import { useRef } from "preact/hooks";
import { Button } from "../../parts/button.tsx";
import { useHeirs } from "../../parts/focus.ts";
import type { IconName } from "../../parts/icon.tsx";
import { Menu } from "../../parts/menu.tsx";
import { isBulkBusy } from "../../state/bulk.ts";
import { peek, row } from "../../state/store.ts";
import type { DownloadItem } from "../../state/types.ts";
import { type Act, whichMay } from "./allowed.ts";
import { askLimit } from "./limits.tsx";
import { prioritizeMany, removeMany, verbMany } from "./many.ts";
import { PRIORITIES } from "./row-menu.tsx";
import { clear, selected } from "./selection.ts";

const VERBS = [
  { act: "pause", label: "Pause", icon: "pause" },
  { act: "resume", label: "Resume", icon: "play" },
  { act: "retry", label: "Retry", icon: "retry" },
  { act: "cancel", label: "Cancel", icon: "close" },
] as const satisfies { act: Act; label: string; icon: IconName }[];

export function SelectionBar() {
  const items = [...selected.value]
    .map((id) => row(id).value)
    .filter((item): item is DownloadItem => item !== undefined);
  const removable = whichMay("remove", items);
  const limitable = whichMay("limit", items);
  const isBusy = isBulkBusy();
  const own = useRef<HTMLFieldSetElement>(null);
  useHeirs(own, () => [
    document.querySelector<HTMLElement>('.downloads [data-id][tabindex="0"]'),
    document.querySelector("main"),
  ]);
  return (
    <fieldset class="bulk bulk-selection" ref={own}>
      <legend class="unseen">Selected downloads</legend>
      <span class="bulk-count" role="status">
        {items.length} selected{isBusy && " · working…"}
      </span>
      {VERBS.map(({ act, label, icon }) => (
        <Button
          key={act}
          icon={icon}
          kind={act === "cancel" ? "danger" : "plain"}
          busy={isBusy}
          disabled={whichMay(act, items).length === 0}
          onClick={() => void verbMany(act, allowed(act))}
        >
          {label}
        </Button>
      ))}
      <Button
        icon="trash"
        busy={isBusy}
        disabled={removable.length === 0}
        onClick={() => void removeMany(removable)}
      >
        Remove
      </Button>
      <span class="bulk-end">
        <Menu
          label="More for selected downloads"
          items={[
            {
              label: "Speed limit…",
              icon: "speed",
              disabled: isBusy || limitable.length === 0,
              onSelect: () => askLimit(limitable),
            },
            ...PRIORITIES.map(({ name, value }) => ({
              label: `${name} priority`,
              disabled: isBusy || limitable.length === 0,
              onSelect: () => void prioritizeMany(limitable, value),
            })),
          ]}
        />
        <Button kind="quiet" onClick={clear}>
          Clear selection
        </Button>
      </span>
    </fieldset>
  );
}

/** As they are at the moment of the click. */
function allowed(act: Act): string[] {
  const now = [...selected.value].map(peek).filter((item) => item !== undefined);
  return whichMay(act, now);
}
