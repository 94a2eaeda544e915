import type { RefObject } from "preact";
import { useRef } from "preact/hooks";
import { dismiss, type Toast, toasts } from "../state/notices.ts";
import { IconButton } from "./button.tsx";
import { useHeirs } from "./focus.ts";

/** Shows what `toast()` of state/notices.ts tells. Once on the page; read out politely, bad news at once. */
export function ToastHost() {
  const bad = toasts.value.filter(({ kind }) => kind === "bad");
  const rest = toasts.value.filter(({ kind }) => kind !== "bad");
  /** Where the focus was before it came here. */
  const before = useRef<HTMLElement>(null);
  return (
    <section
      class="toasts"
      aria-label="Messages"
      onFocusIn={({ currentTarget, relatedTarget }) => {
        if (relatedTarget instanceof HTMLElement && !currentTarget.contains(relatedTarget))
          before.current = relatedTarget;
      }}
    >
      <div aria-live="polite">
        {rest.map((toast) => (
          <Message key={toast.id} toast={toast} before={before} />
        ))}
      </div>
      <div aria-live="assertive">
        {bad.map((toast) => (
          <Message key={toast.id} toast={toast} before={before} />
        ))}
      </div>
    </section>
  );
}

interface MessageProps {
  toast: Toast;
  before: RefObject<HTMLElement | null>;
}

function Message({ toast: { id, text, kind, action }, before }: MessageProps) {
  const own = useRef<HTMLDivElement>(null);
  useHeirs(own, () => [before.current, document.querySelector("main")]);
  const act = (): void => {
    dismiss(id);
    action?.run();
  };
  return (
    <div class={`toast ${kind}`} ref={own}>
      <p title={text}>{text}</p>
      {action && (
        <button type="button" class="button quiet" onClick={act}>
          {action.label}
        </button>
      )}
      <IconButton icon="close" label="Dismiss" onClick={() => dismiss(id)} />
    </div>
  );
}
