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
    const list = root.current?.querySelector<HTMLElement>('[role="menu"]');
    if (!isOpen.value || !list || !button.current) return;
    const outside = ({ target }: Event): void => {
      if (!root.current?.contains(target as Node)) close(false);
    };
    list.showPopover();
    place(list, button.current.getBoundingClientRect());
    entries(list)[0]?.focus({ preventScroll: true });
    document.addEventListener("pointerdown", outside);
    document.addEventListener("scroll", outside, { capture: true, passive: true });
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("scroll", outside, { capture: true });
    };
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
        popup="menu"
        {...(tabIndex === undefined ? {} : { tabIndex })}
        buttonRef={button}
        onClick={() => (isOpen.value = !isOpen.value)}
      />
      {isOpen.value && (
        <div class="menu-list" popover="manual" role="menu" id={id} aria-label={label}>
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

const GAP = 4;
const EDGE = 8;

/** Below the button, above it where there is no room; in the top layer, so that nothing cuts it off. */
function place(list: HTMLElement, button: DOMRect): void {
  const { width, height } = list.getBoundingClientRect();
  const below = button.bottom + GAP;
  const above = button.top - GAP - height;
  const top = below + height > innerHeight - EDGE && above > EDGE ? above : below;
  const left = Math.max(EDGE, Math.min(button.right - width, innerWidth - width - EDGE));
  list.style.top = `${top}px`;
  list.style.left = `${left}px`;
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
