import { useSignal } from "@preact/signals";
import { Button } from "../parts/button.tsx";
import { Field, Input } from "../parts/field.tsx";
import { login } from "../state/actions.ts";
import { connect } from "../state/connection.ts";

export function Login() {
  const error = useSignal<string | undefined>(undefined);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    try {
      await login(String(new FormData(form).get("key") ?? "").trim());
      connect();
    } catch (reason) {
      error.value = reason instanceof Error ? reason.message : String(reason);
    }
  };
  return (
    <main class="login">
      <form onSubmit={(event) => void submit(event)}>
        <h1>modelhaul</h1>
        <Field label="API key" error={error.value}>
          <Input name="key" type="password" required autocomplete="current-password" />
        </Field>
        <Button type="submit" kind="primary">
          Log in
        </Button>
      </form>
    </main>
  );
}
