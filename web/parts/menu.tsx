import { useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import { IconButton } from "./button.tsx";
import { Icon, type IconName } from "./icon.tsx";

export interface MenuItem {
  label: string;
  icon?: IconName;
  disabled?: boolean;
  danger?: boolean;
  onSelect: () => void;
}

interface MenuProps {
  label: string;
  icon?: IconName;
  /** A line is drawn in the place of "separator". */
  items: readonly (MenuItem | "separator")[];
  tabIndex?: number;
}

/** A button that opens a menu: arrows move, Enter chooses, Escape closes and gives the focus back. */
export function Menu({ label, icon = "more", items, tabIndex }: MenuProps) {
  const isOpen = useSignal(false);
  const id = useId();
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const close = (giveBack: boolean): void => {
    isOpen.value = false;
    if (giveBack) button.current?.focus();
  };
  useEffect(() => {
    if (!isOpen.value) return;
    const outside = ({ target }: Event): void => {
      if (!root.current?.contains(target as Node)) close(false);
    };
    document.addEventListener("pointerdown", outside);
    entries(root.current)[0]?.focus();
    return () => document.removeEventListener("pointerdown", outside);
  }, [isOpen.value]);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys of the menu inside bubble to here
    <div
      class="menu"
      ref={root}
      onFocusOut={({ relatedTarget }) => {
        if (relatedTarget !== null && !root.current?.contains(relatedTarget as Node)) close(false);
      }}
      onKeyDown={(event) => isOpen.value && onKey(event, root.current, close)}
    >
      <IconButton
        label={label}
        icon={icon}
        expanded={isOpen.value}
        controls={id}
        {...(tabIndex === undefined ? {} : { tabIndex })}
        buttonRef={button}
        onClick={() => (isOpen.value = !isOpen.value)}
      />
      {isOpen.value && (
        <div class="menu-list" role="menu" id={id} aria-label={label}>
          {items.map((item, index) =>
            item === "separator" ? (
              <hr key={index} />
            ) : (
              <button
                key={item.label}
                type="button"
                role="menuitem"
                tabIndex={-1}
                class={item.danger ? "danger" : ""}
                disabled={item.disabled}
                onClick={() => {
                  close(true);
                  item.onSelect();
                }}
              >
                {item.icon && <Icon name={item.icon} />}
                {item.label}
              </button>
            ),
          )}
        </div>
      )}
    </div>
  );
}

const entries = (root: HTMLElement | null): HTMLButtonElement[] => [
  ...(root?.querySelectorAll<HTMLButtonElement>('[role="menuitem"]:enabled') ?? []),
];

function onKey(event: KeyboardEvent, root: HTMLElement | null, close: (giveBack: boolean) => void): void {
  const all = entries(root);
  const at = all.indexOf(document.activeElement as HTMLButtonElement);
  const target: Record<string, number> = {
    ArrowDown: (at + 1) % all.length,
    ArrowUp: (at - 1 + all.length) % all.length,
    Home: 0,
    End: all.length - 1,
  };
  const next = target[event.key];
  if (event.key === "Escape") close(true);
  else if (event.key === "Tab") {
    close(false);
    return;
  } else if (next === undefined) return;
  else all[next]?.focus();
  event.preventDefault();
  event.stopPropagation();
}
