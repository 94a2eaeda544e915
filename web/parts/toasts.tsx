import { dismiss, type Toast, toasts } from "../state/notices.ts";
import { IconButton } from "./button.tsx";

/** Shows what `toast()` of state/notices.ts tells. Once on the page; read out politely, bad news at once. */
export function ToastHost() {
  const bad = toasts.value.filter(({ kind }) => kind === "bad");
  const rest = toasts.value.filter(({ kind }) => kind !== "bad");
  return (
    <section class="toasts" aria-label="Messages">
      <div aria-live="polite">
        {rest.map((toast) => (
          <Message key={toast.id} toast={toast} />
        ))}
      </div>
      <div aria-live="assertive">
        {bad.map((toast) => (
          <Message key={toast.id} toast={toast} />
        ))}
      </div>
    </section>
  );
}

function Message({ toast: { id, text, kind, action } }: { toast: Toast }) {
  const act = (): void => {
    dismiss(id);
    action?.run();
  };
  return (
    <div class={`toast ${kind}`}>
      <p>{text}</p>
      {action && (
        <button type="button" class="button quiet" onClick={act}>
          {action.label}
        </button>
      )}
      <IconButton icon="close" label="Dismiss" onClick={() => dismiss(id)} />
    </div>
  );
}
