import { Field, Input } from "../../parts/field.tsx";
import { Select } from "../../parts/select.tsx";
import { Switch } from "../../parts/switch.tsx";
import { engineName } from "./begin.ts";
import type { EngineOptions, Item } from "./items.ts";

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
export function EngineFields({ item: { options, reading } }: { item: Item }) {
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
        {engine.wanted && <Wanted engine={engine} set={set} fallback={engineName(reading?.model_id ?? "")} />}
      </div>
    </details>
  );
}

interface WantedProps {
  engine: EngineOptions;
  set: (change: Partial<EngineOptions>) => void;
  /** Its id when none is given. */
  fallback: string;
}

function Wanted({ engine, set, fallback }: WantedProps) {
  const count = (name: "gpu" | "context" | "gpuLayers" | "parallel", label: string, rest: object) => (
    <Field label={label}>
      <Input
        type="number"
        step={1}
        value={engine[name]}
        onInput={({ currentTarget }) => set({ [name]: currentTarget.value })}
        {...rest}
      />
    </Field>
  );
  return (
    <>
      <Field label="Engine id">
        <Input
          value={engine.id}
          maxLength={512}
          placeholder={fallback}
          onInput={({ currentTarget }) => set({ id: currentTarget.value })}
        />
      </Field>
      <Select
        label="Runtime"
        value={engine.runtime}
        options={RUNTIMES}
        onChange={(runtime) => set({ runtime })}
      />
      <Select label="Kind" value={engine.type} options={TYPES} onChange={(type) => set({ type })} />
      {count("context", "Context length", { min: 1, max: 1_000_000, placeholder: "4096" })}
      {count("gpuLayers", "Layers on the GPU", { min: 0, max: 1000, placeholder: "100" })}
      {count("parallel", "Parallel sequences", { min: 1, max: 16, placeholder: "1" })}
      {count("gpu", "GPU", { min: -1, max: 15, placeholder: "0" })}
      <Switch label="Load it at once" checked={engine.load} onChange={(load) => set({ load })} />
    </>
  );
}
