import { Field, Input } from "../../parts/field.tsx";
import { NumberInput } from "../../parts/number.tsx";
import { Select } from "../../parts/select.tsx";
import type { Item, Options } from "./items.ts";
import { judgeAgain, LABELS, type OptionName } from "./marks.ts";
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
  const typed = (name: "name" | "priority" | "limit" | "sha256") => ({
    name,
    value: now[name],
    onInput: ({ currentTarget }: { currentTarget: HTMLInputElement }) => {
      set({ [name]: currentTarget.value });
      judgeAgain(item, name);
    },
  });
  const marked = (name: OptionName) => ({ label: LABELS[name], error: item.marks.value[name] });
  const isUrl = provider.value === "url";
  const isHub = provider.value === "huggingface" || provider.value === "mlx";
  const asksAlready = found.value.kind === "choose" && found.value.listing.gated;
  return (
    <details class="add-options">
      <summary>Options</summary>
      <div class="add-fields">
        <Field {...marked("name")} hint="To watch and control it by.">
          <Input {...typed("name")} maxLength={512} placeholder={reading?.model_id} />
        </Field>
        <Field {...marked("priority")} hint="The higher runs first.">
          <NumberInput kind="signed" {...typed("priority")} placeholder="0" />
        </Field>
        <Field {...marked("limit")}>
          <NumberInput kind="decimal" {...typed("limit")} placeholder="none" />
        </Field>
        {isUrl && (
          <Field {...marked("sha256")} hint="The file must have this digest.">
            <Input {...typed("sha256")} spellcheck={false} autocomplete="off" />
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
