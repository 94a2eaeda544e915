import { Field, Input } from "../../parts/field.tsx";
import { Select } from "../../parts/select.tsx";
import type { Item, Options } from "./items.ts";
import { TokenField } from "./token.tsx";

const LAYOUTS = [
  { value: "" as const, label: "As the server is set" },
  { value: "flat" as const, label: "Plain folders" },
  { value: "hf-cache" as const, label: "Hugging Face cache" },
];

/** What most people leave as it is. */
export function OptionFields({ item }: { item: Item }) {
  const { options, provider, found, reading } = item;
  const now = options.value;
  const set = (change: Partial<Options>): void => {
    options.value = { ...options.peek(), ...change };
  };
  const isUrl = provider.value === "url";
  const isHub = provider.value === "huggingface" || provider.value === "mlx";
  const asksAlready = found.value.kind === "choose" && found.value.listing.gated;
  return (
    <details class="add-options">
      <summary>Options</summary>
      <div class="add-fields">
        <Field label="Name" hint="To watch and control it by.">
          <Input
            value={now.name}
            maxLength={512}
            placeholder={reading?.model_id}
            onInput={({ currentTarget }) => set({ name: currentTarget.value })}
          />
        </Field>
        <Field label="Priority" hint="The higher runs first.">
          <Input
            type="number"
            step={1}
            min={-1_000_000}
            max={1_000_000}
            value={now.priority}
            placeholder="0"
            onInput={({ currentTarget }) => set({ priority: currentTarget.value })}
          />
        </Field>
        <Field label="Speed limit, MB/s">
          <Input
            type="number"
            step="any"
            min={0}
            value={now.limit}
            placeholder="none"
            onInput={({ currentTarget }) => set({ limit: currentTarget.value })}
          />
        </Field>
        {isUrl && (
          <Field label="SHA-256" hint="The file must have this digest.">
            <Input
              value={now.sha256}
              spellcheck={false}
              maxLength={71}
              onInput={({ currentTarget }) => set({ sha256: currentTarget.value })}
            />
          </Field>
        )}
        {isHub && (
          <Select
            label="Layout"
            value={now.layout}
            options={LAYOUTS}
            onChange={(layout) => set({ layout })}
          />
        )}
        {!asksAlready && (
          <TokenField item={item} hint="Where the server asks for one; for this download only." />
        )}
      </div>
    </details>
  );
}
