import type { ComponentChildren, Ref } from "preact";
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
  return (
    <button
      ref={buttonRef ?? null}
      type={type}
      class={`button ${kind}`}
      disabled={disabled || busy}
      aria-busy={busy ? "true" : undefined}
      aria-label={label}
      aria-pressed={pressed}
      aria-expanded={expanded}
      onClick={onClick}
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
  return (
    <button
      ref={buttonRef ?? null}
      type="button"
      class={danger ? "icon-button danger" : "icon-button"}
      aria-label={label}
      title={label}
      disabled={disabled}
      aria-pressed={pressed}
      aria-expanded={expanded}
      aria-controls={controls}
      aria-haspopup={popup}
      tabIndex={tabIndex}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}
