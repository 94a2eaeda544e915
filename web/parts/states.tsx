import type { ComponentChildren } from "preact";
import { Icon, type IconName } from "./icon.tsx";

interface EmptyProps {
  title: string;
  icon?: IconName;
  /** What to do now. */
  children?: ComponentChildren;
}

/** Nothing is there. */
export function Empty({ title, icon = "down", children }: EmptyProps) {
  return (
    <div class="empty">
      <Icon name={icon} size={28} />
      <h2>{title}</h2>
      {children}
    </div>
  );
}

interface ErrorBoxProps {
  title?: string;
  /** What to do. */
  children: ComponentChildren;
  action?: ComponentChildren;
}

/** Something went wrong, here. */
export function ErrorBox({ title, children, action }: ErrorBoxProps) {
  return (
    <div class="error-box">
      <Icon name="warning" />
      <div>
        {title && <strong>{title}</strong>}
        <div>{children}</div>
      </div>
      {action}
    </div>
  );
}

/** Something is on its way; shown only when that takes a moment. */
export function Loading({ label = "Loading" }: { label?: string }) {
  return (
    <p class="loading" role="status">
      {label}…
    </p>
  );
}
