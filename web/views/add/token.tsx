import { Field, Input } from "../../parts/field.tsx";
import type { Item } from "./items.ts";
import { judgeAgain, LABELS } from "./marks.ts";

/** The field is emptied when the download starts; what is in it is not kept and not shown. */
export function TokenField({ item, hint }: { item: Item; hint: string }) {
  return (
    <Field label={LABELS.token} hint={hint} error={item.marks.value.token}>
      <Input
        name="token"
        type="password"
        autocomplete="off"
        spellcheck={false}
        value={item.token.value}
        onInput={({ currentTarget }) => {
          item.token.value = currentTarget.value;
          judgeAgain(item, "token");
        }}
      />
    </Field>
  );
}
