/** Speed limits, of one download, of several or of all together. */
import { signal, useSignal } from "@preact/signals";
import { Button } from "../../parts/button.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { Field } from "../../parts/field.tsx";
import { NumberInput, rateFault, rateOf } from "../../parts/number.tsx";
import { Select } from "../../parts/select.tsx";
import { changeSettings, loadSettings, tell } from "../../state/actions.ts";
import { peek, settings } from "../../state/store.ts";
import { limitMany } from "./many.ts";

const UNITS = [
  { value: 1024, label: "KB/s" },
  { value: 1024 ** 2, label: "MB/s" },
  { value: 1024 ** 3, label: "GB/s" },
] as const;
type Unit = (typeof UNITS)[number]["value"];

interface Asked {
  title: string;
  /** Bytes per second, 0 = no limit. */
  now: number;
  save: (perSecond: number) => Promise<unknown>;
}
const asked = signal<Asked | undefined>(undefined);

export function askLimit(ids: readonly string[]): void {
  const [first = ""] = ids;
  asked.value = {
    title:
      ids.length === 1
        ? `Speed limit of ${peek(first)?.model_id ?? first}`
        : `Speed limit of ${ids.length} downloads`,
    now: peek(first)?.rate_limit_bps ?? 0,
    save: (perSecond) => limitMany(ids, perSecond),
  };
}

export async function askTotalLimit(): Promise<void> {
  try {
    await loadSettings();
  } catch (error) {
    return tell(error);
  }
  asked.value = {
    title: "Speed limit of all downloads together",
    now: settings.value?.rate_limit_bps ?? 0,
    save: (perSecond) => changeSettings({ rate_limit_bps: perSecond }),
  };
}

/** Shows what the two above ask. Once in the view. */
export function LimitHost() {
  return asked.value ? <LimitDialog key={asked.value.title} {...asked.value} /> : null;
}

/** The largest unit in which the number is short. */
const unitOf = (perSecond: number): Unit =>
  UNITS.findLast(({ value }) => perSecond >= value && Number.isInteger((perSecond * 10) / value))?.value ??
  (perSecond > 0 ? 1024 : 1024 ** 2);

function LimitDialog({ title, now, save }: Asked) {
  const unit = useSignal<Unit>(unitOf(now));
  const text = useSignal(now > 0 ? String(Math.round((now / unit.value) * 1000) / 1000) : "");
  const error = useSignal<string | undefined>(undefined);
  const close = (): void => {
    asked.value = undefined;
  };
  const finish = (perSecond: number): void => {
    close();
    void save(perSecond);
  };
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    error.value = rateFault(text.value, unit.value);
    if (error.value === undefined) finish(rateOf(text.value, unit.value));
  };
  return (
    <Dialog
      title={title}
      onClose={close}
      footer={
        <>
          <Button disabled={now === 0} onClick={() => finish(0)}>
            No limit
          </Button>
          <Button
            kind="primary"
            onClick={(event) =>
              (event.currentTarget as Element).closest("dialog")?.querySelector("form")?.requestSubmit()
            }
          >
            Save
          </Button>
        </>
      }
    >
      <form class="limit-form" onSubmit={submit}>
        <Field label="Limit" hint="Empty means no limit." error={error.value}>
          <NumberInput
            kind="decimal"
            autofocus
            value={text.value}
            onInput={({ currentTarget }) => {
              text.value = currentTarget.value;
            }}
          />
        </Field>
        <Select
          label="Unit"
          hidden
          value={unit.value}
          options={UNITS}
          onChange={(value) => (unit.value = value)}
        />
      </form>
    </Dialog>
  );
}
