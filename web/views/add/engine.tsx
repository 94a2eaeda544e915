import { Field, Input } from "../../parts/field.tsx";
import { NumberInput } from "../../parts/number.tsx";
import { Select } from "../../parts/select.tsx";
import { Switch } from "../../parts/switch.tsx";
import { engineName } from "./begin.ts";
import type { EngineOptions, Item } from "./items.ts";
import { judgeAgain, LABELS, type OptionName } from "./marks.ts";

const RUNTIMES = [
  { value: "", label: "The server's own choice" },
  { value: "register", label: "Only register the file" },
  { value: "llama-server", label: "llama-server" },
  { value: "ollama", label: "Ollama" },
];
const TYPES = [
  { value: "" as const, label: "As the file says" },
  { value: "llm" as const, label: "Language model" },
  { value: "embedding" as const, label: "Embedding model" },
];

/** What is made of the model once it is there. */
export function EngineFields({ item }: { item: Item }) {
  const { options, reading } = item;
  const { engine } = options.value;
  const set = (change: Partial<EngineOptions>): void => {
    const now = options.peek();
    options.value = { ...now, engine: { ...now.engine, ...change } };
  };
  return (
    <details class="add-options">
      <summary>
        Engine <span class="faint">· {engine.wanted ? "made when it is there" : "none"}</span>
      </summary>
      <div class="add-fields">
        <Switch
          label="Make an engine of it when it is there"
          checked={engine.wanted}
          onChange={(wanted) => set({ wanted })}
        />
        {engine.wanted && <Wanted item={item} set={set} fallback={engineName(reading?.model_id ?? "")} />}
      </div>
    </details>
  );
}

type Counted = "context" | "gpuLayers" | "parallel" | "gpu";

interface WantedProps {
  item: Item;
  set: (change: Partial<EngineOptions>) => void;
  /** Its id when none is given. */
  fallback: string;
}

function Wanted({ item, set, fallback }: WantedProps) {
  const { engine } = item.options.value;
  const field = (name: OptionName, key: "id" | Counted, Control: typeof Input, placeholder: string) => (
    <Field label={LABELS[name]} error={item.marks.value[name]}>
      <Control
        name={name}
        value={engine[key]}
        placeholder={placeholder}
        onInput={({ currentTarget }) => {
          set({ [key]: currentTarget.value });
          judgeAgain(item, name);
        }}
      />
    </Field>
  );
  const count = (name: Counted, placeholder: string) => field(name, name, NumberInput, placeholder);
  return (
    <>
      {field("engineId", "id", Input, fallback)}
      <Select
        label="Runtime"
        value={engine.runtime}
        options={RUNTIMES}
        onChange={(runtime) => set({ runtime })}
      />
      <Select label="Kind" value={engine.type} options={TYPES} onChange={(type) => set({ type })} />
      {count("context", "4096")}
      {count("gpuLayers", "100")}
      {count("parallel", "1")}
      {count("gpu", "0")}
      <Switch label="Load it at once" checked={engine.load} onChange={(load) => set({ load })} />
    </>
  );
}
