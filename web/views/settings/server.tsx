import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Button } from "../../parts/button.tsx";
import { Field } from "../../parts/field.tsx";
import { NumberInput } from "../../parts/number.tsx";
import { Switch } from "../../parts/switch.tsx";
import { busy, changeSettings, loadSettings } from "../../state/actions.ts";
import type { ApiError } from "../../state/api.ts";
import { toast } from "../../state/notices.ts";
import { settings as store } from "../../state/store.ts";
import type { Settings } from "../../state/types.ts";
import {
  changesOf,
  type Draft,
  draftOf,
  type Faults,
  faultsOf,
  fieldOf,
  NAMES,
  type Name,
  RANGES,
  rebased,
} from "./form.ts";

const LABELS: Record<Name, { label: string; hint?: string }> = {
  concurrent: { label: "Downloads at once", hint: "The rest waits in the queue." },
  connections: { label: "Connections per download", hint: "At most; fewer where more bring nothing." },
  rate: { label: "Speed limit, MB/s", hint: "Of all downloads together. Empty: no limit." },
  attempts: { label: "Tries", hint: "Without new bytes, one after the other, before it gives up." },
  first: { label: "First wait, seconds", hint: "Doubled with each try." },
  longest: { label: "Longest wait, seconds", hint: "It is not doubled beyond this." },
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

/** What is typed, what of it is wrong, and its way to the server. */
function useDraft(settings: Settings, form: RefObject<HTMLFormElement | null>) {
  const draft = useSignal<Draft>(draftOf(settings));
  const wasTried = useSignal(false);
  /** What only the server has found wrong, until it is changed. */
  const refused = useSignal<Faults>({});
  /** Counts the tries that failed: after each the first field that is wrong gets the focus. */
  const failed = useSignal(0);
  const based = useRef(settings);
  useEffect(() => {
    draft.value = rebased(draft.peek(), based.current, settings);
    based.current = settings;
  }, [settings]);
  const faults = { ...refused.value, ...faultsOf(draft.value, settings) };
  const isWrong = Object.keys(faults).length > 0;
  useEffect(() => {
    const first = NAMES.find((name) => faults[name] !== undefined);
    if (failed.value > 0) form.current?.querySelector<HTMLElement>(`[name="${first}"]`)?.focus();
  }, [failed.value]);
  const changes = changesOf(draft.value, settings);
  const isRefused = ({ param, message }: ApiError): boolean => {
    const name = fieldOf(param);
    if (name) refused.value = { [name]: message };
    return name !== undefined;
  };
  const save = async (): Promise<void> => {
    wasTried.value = true;
    if (!isWrong && (await changeSettings(changes, isRefused))) {
      toast("Settings saved", { kind: "good" });
      return;
    }
    // It may contradict what another window has saved meanwhile: that is shown then.
    if (!isWrong) await loadSettings().catch(() => {});
    failed.value += 1;
  };
  const type = (name: Name, typed: string): void => {
    const { [name]: _, ...others } = refused.peek();
    refused.value = others;
    draft.value = { ...draft.peek(), [name]: typed };
  };
  const undo = (): void => {
    draft.value = draftOf(settings);
    refused.value = {};
    wasTried.value = false;
  };
  const shown: Faults = wasTried.value ? faults : {};
  return {
    draft: draft.value,
    faults: shown,
    isChanged: isWrong || Object.keys(changes).length > 0,
    save,
    type,
    undo,
  };
}

/** What the server keeps, and does at once. */
export function ServerSettings({ settings }: { settings: Settings }) {
  const form = useRef<HTMLFormElement>(null);
  const { draft, faults, isChanged, save, type, undo } = useDraft(settings, form);
  const row = (name: Name) => (
    <Field key={name} label={LABELS[name].label} hint={LABELS[name].hint} error={faults[name]}>
      <NumberInput
        name={name}
        kind={name !== "rate" && RANGES[name].whole ? "whole" : "decimal"}
        value={draft[name]}
        placeholder={name === "rate" ? "no limit" : undefined}
        onInput={({ currentTarget }) => type(name, currentTarget.value)}
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
        <Button type="submit" kind="primary" disabled={!isChanged} busy={busy("settings")}>
          Save
        </Button>
        <Button kind="quiet" disabled={!isChanged} onClick={undo}>
          Undo
        </Button>
      </div>
    </form>
  );
}
