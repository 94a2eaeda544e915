import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Button } from "../parts/button.tsx";
import { Field, Input } from "../parts/field.tsx";
import { Icon } from "../parts/icon.tsx";
import { login } from "../state/actions.ts";
import { ApiError } from "../state/api.ts";

/** The server's words for a wrong key are for programs. */
function told(reason: unknown): string {
  if (reason instanceof ApiError && reason.status === 401)
    return "Wrong key: it is not the one that the server was started with.";
  return reason instanceof Error ? reason.message : String(reason);
}

/** In the place of everything else, while the server wants its key. */
export function Login() {
  const error = useSignal<string | undefined>(undefined);
  const isBusy = useSignal(false);
  const form = useRef<HTMLFormElement>(null);
  const focus = (): void => form.current?.querySelector("input")?.focus();
  useEffect(focus, []);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    isBusy.value = true;
    try {
      await login(String(new FormData(form.current!).get("key") ?? "").trim());
    } catch (reason) {
      error.value = told(reason);
      focus();
    } finally {
      isBusy.value = false;
    }
  };
  return (
    <main class="login">
      <form ref={form} onSubmit={(event) => void submit(event)}>
        <h1 class="brand">
          <Icon name="down" size={20} />
          modelhaul
        </h1>
        <Field label="API key" hint="The key that the server was started with." error={error.value}>
          <Input name="key" type="password" required autocomplete="current-password" spellcheck={false} />
        </Field>
        <div role="alert" class="unseen">
          {error}
        </div>
        <Button type="submit" kind="primary" busy={isBusy.value}>
          Log in
        </Button>
      </form>
    </main>
  );
}
