import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Button } from "../../parts/button.tsx";
import { Field, Input } from "../../parts/field.tsx";
import { Switch } from "../../parts/switch.tsx";
import { busy, changeSettings } from "../../state/actions.ts";
import { toast } from "../../state/notices.ts";
import { settings as store } from "../../state/store.ts";
import type { Settings } from "../../state/types.ts";
import { BOUNDS, changesOf, type Draft, draftOf, fault, NAMES, type Name } from "./form.ts";

const LABELS: Record<Name, { label: string; hint?: string }> = {
  concurrent: { label: "Downloads at once", hint: "The rest waits in the queue." },
  connections: { label: "Connections per download", hint: "At most; fewer where more bring nothing." },
  rate: { label: "Speed limit, MB/s", hint: "Of all downloads together. Empty: no limit." },
  attempts: { label: "Tries", hint: "Without new bytes, one after the other, before it gives up." },
  first: { label: "First wait, seconds", hint: "Doubled with each try." },
  longest: { label: "Longest wait, seconds" },
  jitter: { label: "Spread, percent", hint: "How much of a wait is left to chance." },
};
const QUEUE: readonly Name[] = ["concurrent", "connections", "rate"];
const RETRY: readonly Name[] = ["attempts", "first", "longest", "jitter"];

/** Shown at once, and taken back where the server refuses. */
async function pauseAll(paused: boolean): Promise<void> {
  const before = store.peek();
  if (before === null) return;
  store.value = { ...before, paused };
  if (!(await changeSettings({ paused })))
    store.value = { ...(store.peek() ?? before), paused: before.paused };
}

/** What the server keeps, and does at once. */
export function ServerSettings({ settings }: { settings: Settings }) {
  const draft = useSignal<Draft>(draftOf(settings));
  const wasTried = useSignal(false);
  const based = useRef(settings);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    // What another window has saved is shown, unless something is being typed here.
    if (Object.keys(changesOf(draft.peek(), based.current)).length === 0) draft.value = draftOf(settings);
    based.current = settings;
  }, [settings]);
  const faults = NAMES.filter((name) => fault(name, draft.value[name]) !== undefined);
  const changes = changesOf(draft.value, settings);
  const isDirty = Object.keys(changes).length > 0;
  const save = async (): Promise<void> => {
    wasTried.value = true;
    if (faults.length > 0) {
      form.current?.querySelector<HTMLInputElement>(`[name="${faults[0]}"]`)?.focus();
      return;
    }
    if (await changeSettings(changes)) toast("Settings saved", { kind: "good" });
  };
  const row = (name: Name) => (
    <Field
      key={name}
      label={LABELS[name].label}
      hint={LABELS[name].hint}
      error={wasTried.value ? fault(name, draft.value[name]) : undefined}
    >
      <Input
        name={name}
        type="number"
        inputMode="decimal"
        step={BOUNDS[name].whole ? 1 : "any"}
        min={BOUNDS[name].min}
        max={BOUNDS[name].max}
        value={draft.value[name]}
        placeholder={name === "rate" ? "no limit" : undefined}
        onInput={({ currentTarget }) => (draft.value = { ...draft.peek(), [name]: currentTarget.value })}
      />
    </Field>
  );
  return (
    <form
      ref={form}
      class="card"
      noValidate
      aria-labelledby="settings-server"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <h3 id="settings-server">Server</h3>
      <p class="faint">Kept by the server, for everybody, and in force at once.</p>
      <Switch
        label="Pause all downloads"
        checked={settings.paused}
        onChange={(paused) => void pauseAll(paused)}
      />
      <div class="settings-fields">{QUEUE.map(row)}</div>
      <h4>When a download breaks off</h4>
      <div class="settings-fields">{RETRY.map(row)}</div>
      <div class="settings-foot">
        <Button
          type="submit"
          kind="primary"
          disabled={!isDirty && faults.length === 0}
          busy={busy("settings")}
        >
          Save
        </Button>
        <Button
          kind="quiet"
          disabled={!isDirty && faults.length === 0}
          onClick={() => {
            draft.value = draftOf(settings);
            wasTried.value = false;
          }}
        >
          Undo
        </Button>
      </div>
    </form>
  );
}
