import { useSignal } from "@preact/signals";
import { Button } from "../../parts/button.tsx";
import { Field, Input } from "../../parts/field.tsx";
import { start, tell } from "../../state/actions.ts";
import { go } from "../../state/route.ts";
import { put } from "../../state/store.ts";

/** Starts downloads. */
export function AddView() {
  const what = useSignal("");
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    try {
      const text = what.value.trim();
      put(await start(/^https?:\/\//i.test(text) ? { url: text } : { repo_id: text }));
      go("downloads");
    } catch (error) {
      tell(error);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)}>
      <Field label="URL or repository">
        <Input
          required
          value={what.value}
          onInput={({ currentTarget }) => (what.value = currentTarget.value)}
        />
      </Field>
      <Button type="submit" kind="primary">
        Download
      </Button>
    </form>
  );
}
