import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { IconButton } from "./button.tsx";

interface DialogProps {
  title: string;
  /** Called for Escape, the close button and a click beside it; take the dialog out of the tree then. */
  onClose: () => void;
  children: ComponentChildren;
  /** Buttons at its foot. */
  footer?: ComponentChildren;
  wide?: boolean;
  role?: "dialog" | "alertdialog";
}

/** What gets the focus: what asks for it, else the first field, else the first button at the foot, which does no harm. */
const FIRST = "[autofocus], .dialog-body :is(input, select, textarea):enabled, .dialog-foot button:enabled";

/** A modal dialog. The focus goes in, stays in, and comes back to where it was. */
export function Dialog({ title, onClose, children, footer, wide, role }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    const before = document.activeElement;
    const dialog = ref.current;
    dialog?.showModal();
    dialog?.querySelector<HTMLElement>(FIRST)?.focus();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={ref}
      class={wide ? "dialog wide" : "dialog"}
      role={role}
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onMouseDown={(event) => event.target === ref.current && onClose()}
    >
      <div class="dialog-frame">
        <header class="dialog-head">
          <h2 id={titleId}>{title}</h2>
          <IconButton icon="close" label="Close" onClick={onClose} />
        </header>
        <div class="dialog-body">{children}</div>
        {footer && <footer class="dialog-foot">{footer}</footer>}
      </div>
    </dialog>
  );
}
