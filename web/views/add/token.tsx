import { Field, Input } from "../../parts/field.tsx";
import type { Item } from "./items.ts";

/** The field is emptied when the download starts; what is in it is not kept and not shown. */
export function TokenField({ item, hint }: { item: Item; hint: string }) {
  return (
    <Field label="Access token" hint={hint}>
      <Input
        type="password"
        autocomplete="off"
        spellcheck={false}
        value={item.token.value}
        onInput={({ currentTarget }) => (item.token.value = currentTarget.value)}
      />
    </Field>
  );
}
