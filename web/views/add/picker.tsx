import { type Signal, useSignal } from "@preact/signals";
import { Button } from "../../parts/button.tsx";
import { bytes, number } from "../../parts/format.ts";
import { type Choice, type Choices, sizeOf } from "./choices.ts";
import { freeSpace } from "./items.ts";
import { quantization } from "./quantizations.ts";

interface PickerProps {
  choices: Choices;
  chosen: Signal<ReadonlySet<string>>;
}

/** What of a repository to take: its models by size, and whatever else is there. */
export function Picker({ choices, chosen }: PickerProps) {
  const { models, others } = choices;
  return (
    <div class="picker">
      {models.length > 0 && (
        <fieldset>
          <legend>
            {models.length === 1 ? "Model" : `${number(models.length)} models, pick what fits your memory`}
          </legend>
          <ul class="choices">
            {models.map((choice) => (
              <Row key={choice.key} choice={choice} among={models} chosen={chosen} />
            ))}
          </ul>
        </fieldset>
      )}
      {others.length > 0 && <Others choices={choices} chosen={chosen} />}
    </div>
  );
}

function toggle(chosen: Signal<ReadonlySet<string>>, key: string, isOn: boolean): void {
  const next = new Set(chosen.peek());
  if (isOn) next.add(key);
  else next.delete(key);
  chosen.value = next;
}

const bits = new Intl.NumberFormat(globalThis.navigator?.language, { maximumFractionDigits: 1 });

interface RowProps {
  choice: Choice;
  among: readonly Choice[];
  chosen: Signal<ReadonlySet<string>>;
}

function Row({ choice, among, chosen }: RowProps) {
  const { key, size, paths, missing, quantization: name } = choice;
  const known = name === undefined ? undefined : quantization(name);
  const isAlone = among.every((other) => other === choice || other.quantization !== name);
  const file = paths[0] ?? key;
  return (
    <li>
      <label class="choice">
        <input
          type="checkbox"
          checked={chosen.value.has(key)}
          onChange={({ currentTarget }) => toggle(chosen, key, currentTarget.checked)}
        />
        <strong>{name ?? "Model"}</strong>
        <span class="choice-bits">{known && `${bits.format(known.bits)} bits`}</span>
        <span class="choice-size">{size === 0 ? "size unknown" : bytes(size)}</span>
        <span class="choice-use faint">
          <Fit size={size} />
          {known?.use}
          {(!isAlone || name === undefined) && <span class="choice-path">{file}</span>}
          {paths.length > 1 && <span> · {number(paths.length)} files</span>}
          {missing > 0 && <span class="bad"> · {number(missing)} files are missing on the hub</span>}
        </span>
      </label>
    </li>
  );
}

function Fit({ size }: { size: number }) {
  const free = freeSpace();
  return free !== undefined && size > free ? <span class="bad">Does not fit. </span> : null;
}

const filesOf = (choices: readonly Choice[]): number =>
  choices.reduce((sum, { paths }) => sum + paths.length, 0);

/** Cards, configurations, weights in other formats: drawn when they are looked at, for there may be thousands. */
function Others({ choices, chosen }: PickerProps) {
  const isOpen = useSignal(false);
  const { models, others } = choices;
  const taken = others.filter(({ key }) => chosen.value.has(key));
  const size = sizeOf({ models: [], others }, chosen.value);
  const noun = models.length > 0 ? "other files" : "files";
  const state = taken.length === others.length ? "all" : taken.length === 0 ? "none" : number(filesOf(taken));
  const takeAll = (isOn: boolean): void => {
    const kept = [...chosen.peek()].filter((key) => !others.some((other) => other.key === key));
    chosen.value = new Set([...kept, ...(isOn ? others.map(({ key }) => key) : [])]);
  };
  return (
    <details class="others" onToggle={({ currentTarget }) => (isOpen.value = currentTarget.open)}>
      <summary>
        {number(filesOf(others))} {noun} <span class="faint">· {state} chosen</span>
        {size > 0 && <span class="faint"> · {bytes(size)}</span>} <Fit size={size} />
      </summary>
      {isOpen.value && (
        <>
          <div class="others-all">
            <Button kind="quiet" onClick={() => takeAll(true)}>
              Choose all
            </Button>
            <Button kind="quiet" onClick={() => takeAll(false)}>
              Choose none
            </Button>
          </div>
          <ul class="choices">
            {others.map(({ key, size: bytesOf, paths }) => (
              <li key={key}>
                <label class="choice plain">
                  <input
                    type="checkbox"
                    checked={chosen.value.has(key)}
                    onChange={({ currentTarget }) => toggle(chosen, key, currentTarget.checked)}
                  />
                  <span class="choice-path">{key}</span>
                  {paths.length > 1 && <span class="faint">{number(paths.length)} files</span>}
                  <span class="choice-size">{bytes(bytesOf)}</span>
                </label>
              </li>
            ))}
          </ul>
        </>
      )}
    </details>
  );
}
