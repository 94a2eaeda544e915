import type { ComponentChildren, Ref } from "preact";
import { useRef } from "preact/hooks";
import { useOff } from "./focus.ts";
import { Icon, type IconName } from "./icon.tsx";

interface ButtonProps {
  children: ComponentChildren;
  kind?: "primary" | "plain" | "danger" | "quiet";
  icon?: IconName;
  type?: "button" | "submit";
  disabled?: boolean;
  /** Something it began is under way: it stays where it is and cannot be pressed again. */
  busy?: boolean;
  /** For screen readers, where the text alone does not say which thing it is about. */
  label?: string;
  /** For a button that stays down. */
  pressed?: boolean;
  /** For a button that opens something. */
  expanded?: boolean;
  onClick?: (event: MouseEvent) => void;
  buttonRef?: Ref<HTMLButtonElement>;
}

/** What is only marked as off does nothing when it is pressed, and sends no form. */
function press(event: MouseEvent & { currentTarget: Element }, act?: (event: MouseEvent) => void): void {
  if (event.currentTarget.getAttribute("aria-disabled") === "true") event.preventDefault();
  else act?.(event);
}

function hold(
  element: HTMLButtonElement | null,
  own: { current: HTMLButtonElement | null },
  theirs: Ref<HTMLButtonElement> | undefined,
): void {
  own.current = element;
  if (typeof theirs === "function") theirs(element);
  else if (theirs) theirs.current = element;
}

export function Button({
  children,
  kind = "plain",
  icon,
  type = "button",
  disabled,
  busy,
  label,
  pressed,
  expanded,
  onClick,
  buttonRef,
}: ButtonProps) {
  const own = useRef<HTMLButtonElement>(null);
  const off = useOff(own, disabled === true, busy);
  return (
    <button
      ref={(element) => hold(element, own, buttonRef)}
      type={type}
      class={`button ${kind}`}
      {...off}
      aria-busy={busy ? "true" : undefined}
      aria-label={label}
      aria-pressed={pressed}
      aria-expanded={expanded}
      onClick={(event) => press(event, onClick)}
    >
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

interface IconButtonProps {
  /** Read out, and shown as a tip. */
  label: string;
  icon: IconName;
  disabled?: boolean;
  /** For a button that stays down. */
  pressed?: boolean;
  /** For a button that opens something. */
  expanded?: boolean;
  /** Id of what it opens, and what that is. */
  controls?: string;
  popup?: "menu" | "dialog";
  danger?: boolean;
  tabIndex?: number;
  onClick?: (event: MouseEvent) => void;
  buttonRef?: Ref<HTMLButtonElement>;
}

export function IconButton({
  label,
  icon,
  disabled,
  pressed,
  expanded,
  controls,
  popup,
  danger,
  tabIndex,
  onClick,
  buttonRef,
}: IconButtonProps) {
  const own = useRef<HTMLButtonElement>(null);
  const off = useOff(own, disabled === true);
  return (
    <button
      ref={(element) => hold(element, own, buttonRef)}
      type="button"
      class={danger ? "icon-button danger" : "icon-button"}
      aria-label={label}
      title={label}
      {...off}
      aria-pressed={pressed}
      aria-expanded={expanded}
      aria-controls={controls}
      aria-haspopup={popup}
      tabIndex={tabIndex}
      onClick={(event) => press(event, onClick)}
    >
      <Icon name={icon} />
    </button>
  );
}
