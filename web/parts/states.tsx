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

interface BoxProps {
  title?: string;
  /** What to do. */
  children: ComponentChildren;
  action?: ComponentChildren;
}

/** Something went wrong, here. */
export const ErrorBox = (props: BoxProps) => <Box kind="error-box" icon="warning" {...props} />;

/** Something a reader should know, and can change. */
export const NoticeBox = (props: BoxProps & { icon: IconName }) => <Box kind="notice-box" {...props} />;

function Box({ kind, icon, title, children, action }: BoxProps & { kind: string; icon: IconName }) {
  return (
    <div class={`box ${kind}`}>
      <Icon name={icon} />
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
