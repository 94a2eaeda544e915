import { type ComponentChildren, createContext, type JSX } from "preact";
import { useContext, useId } from "preact/hooks";

interface FieldProps {
  label: string;
  hint?: ComponentChildren;
  error?: string | undefined;
  /** The label is for screen readers only. */
  hidden?: boolean;
  /** An `Input`, `TextArea` or a `<select>` of one's own. */
  children: ComponentChildren;
}

interface Ids {
  id: string;
  describedBy: string | undefined;
  isWrong: boolean;
}
const Current = createContext<Ids>({ id: "", describedBy: undefined, isWrong: false });

/** A label, a control, and what there is to say about it. */
export function Field({ label, hint, error, hidden, children }: FieldProps) {
  const id = useId();
  const notes = [hint ? `${id}-hint` : "", error ? `${id}-error` : ""].filter(Boolean).join(" ");
  return (
    <div class="field">
      <label for={id} class={hidden ? "unseen" : ""}>
        {label}
      </label>
      <Current.Provider value={{ id, describedBy: notes || undefined, isWrong: error !== undefined }}>
        {children}
      </Current.Provider>
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {error && (
        <p class="field-error" id={`${id}-error`}>
          {error}
        </p>
      )}
    </div>
  );
}

/** What ties a control to its field: spread it over the control. */
export function useField(): Record<string, string | undefined> {
  const { id, describedBy, isWrong } = useContext(Current);
  return { id, "aria-describedby": describedBy, "aria-invalid": isWrong ? "true" : undefined };
}

export function Input(props: JSX.IntrinsicElements["input"]) {
  return <input class="input" {...useField()} {...props} />;
}

export function TextArea(props: JSX.IntrinsicElements["textarea"]) {
  return <textarea class="input" {...useField()} {...props} />;
}
