/** Everything that can be done to one download, beyond its buttons. */
import { copy } from "../../parts/copy.ts";
import { Menu, type MenuItem } from "../../parts/menu.tsx";
import { patch, remove } from "../../state/actions.ts";
import { confirm, toast } from "../../state/notices.ts";
import { may } from "./allowed.ts";
import { askLimit } from "./limits.tsx";
import { isQueueOrder, step, toEnd, toFront } from "./queue.ts";
import type { Still } from "./still.ts";

interface RowMenuProps {
  download: Still;
  isOpen: boolean;
  onDetails: () => void;
  tabIndex: number;
}

export function RowMenu({ download, isOpen, onDetails, tabIndex }: RowMenuProps) {
  const items: (MenuItem | "separator")[] = [
    { label: isOpen ? "Hide details" : "Show details", icon: "info", onSelect: onDetails },
    "separator",
    ...queueItems(download),
    ...priorityItems(download),
    "separator",
    {
      label: "Speed limit…",
      icon: "speed",
      disabled: !may("limit", download),
      onSelect: () => askLimit([download.id]),
    },
    { label: "Copy address", icon: "copy", onSelect: () => void copyOf(download.url, "Address") },
    {
      label: "Copy path",
      icon: "folder",
      disabled: download.local_path === "",
      onSelect: () => void copyOf(download.local_path, "Path"),
    },
    "separator",
    {
      label: "Remove and delete files…",
      icon: "trash",
      danger: true,
      disabled: !may("remove", download),
      onSelect: () => void removeWithFiles(download),
    },
  ];
  return <Menu label={`More for ${download.model_id}`} items={items} tabIndex={tabIndex} />;
}

function queueItems(download: Still): MenuItem[] {
  if (!may("move", download)) return [];
  const { id } = download;
  const disabled = !isQueueOrder();
  return [
    { label: "Move to front", icon: "up", disabled, onSelect: () => void toFront(id) },
    { label: "Move up", icon: "up", disabled, onSelect: () => void step(id, -1) },
    { label: "Move down", icon: "lower", disabled, onSelect: () => void step(id, 1) },
    { label: "Move to end", icon: "lower", disabled, onSelect: () => void toEnd(id) },
  ];
}

export const PRIORITIES = [
  { name: "High", value: 10 },
  { name: "Normal", value: 0 },
  { name: "Low", value: -10 },
] as const;

function priorityItems(download: Still): MenuItem[] {
  const disabled = !may("limit", download);
  return PRIORITIES.map(({ name, value }) => ({
    label: `${name} priority`,
    ...(download.priority === value ? { icon: "check" as const } : {}),
    disabled,
    onSelect: () => void patch(download.id, { priority: value }),
  }));
}

async function removeWithFiles({ id, model_id }: Still): Promise<void> {
  const isSure = await confirm({
    title: `Delete ${model_id}?`,
    text: "Its record and the files it brought are deleted.",
    yes: "Delete files",
    no: "Keep them",
    danger: true,
  });
  if (isSure && (await remove(id, { files: true }))) toast(`${model_id} deleted`);
}

async function copyOf(text: string, what: string): Promise<void> {
  if (await copy(text)) toast(`${what} copied`);
  else
    toast("The browser does not allow copying here; select the text in the details instead.", {
      kind: "bad",
    });
}
