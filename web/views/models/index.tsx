import "../page.css";
import "./models.css";
import { computed, signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Button, IconButton } from "../../parts/button.tsx";
import { Field, Input } from "../../parts/field.tsx";
import { bytes, number } from "../../parts/format.ts";
import { Empty, ErrorBox, Loading } from "../../parts/states.tsx";
import { loadModels, loadStorage } from "../../state/actions.ts";
import { isStale } from "../../state/connection.ts";
import { href } from "../../state/route.ts";
import { counters, models, storage } from "../../state/store.ts";
import type { Storage } from "../../state/types.ts";
import { matches, modelsOf } from "./groups.ts";
import { ModelRow } from "./row.tsx";

const all = computed(() => (models.value === null ? null : modelsOf(models.value)));
const search = signal("");
/** Rows drawn at first, and with each wish for more. */
const CHUNK = 200;

/** What is on disk. */
export function ModelsView() {
  const problem = useSignal<string | undefined>(undefined);
  const isLoading = useSignal(false);
  const load = async (): Promise<void> => {
    if (isLoading.peek()) return;
    isLoading.value = true;
    try {
      await Promise.all([loadModels(), loadStorage()]);
      problem.value = undefined;
    } catch (error) {
      problem.value = error instanceof Error ? error.message : String(error);
    } finally {
      isLoading.value = false;
    }
  };
  // What has just been completed is there at once, and what is left of what has ended otherwise.
  const { completed, failed, cancelled } = counters.value.filters;
  const isAway = isStale.value;
  useEffect(() => {
    if (!isAway || models.peek() === null) void load();
  }, [completed, failed, cancelled, isAway]);
  const known = all.value;
  return (
    <div class="page">
      <header class="page-head">
        <h2>Models on disk</h2>
        {known !== null && <Space count={known.length} />}
        <IconButton
          icon="retry"
          label="Refresh the list"
          disabled={isLoading.value}
          onClick={() => void load()}
        />
      </header>
      {problem.value && (
        <ErrorBox
          title="The list could not be read"
          action={<Button onClick={() => void load()}>Try again</Button>}
        >
          {problem.value}
        </ErrorBox>
      )}
      {known === null ? problem.value === undefined && <Loading label="Looking at the disk" /> : <List />}
    </div>
  );
}

function Space({ count }: { count: number }) {
  const now = storage.value;
  const parts = [
    `${number(count)} ${count === 1 ? "model" : "models"}`,
    ...(now === null ? [] : [usedWords(now), `${bytes(now.free_bytes)} free`]),
  ];
  return <p class="faint">{parts.join(" · ")}</p>;
}

/** What has arrived of unfinished files is no model yet. */
function usedWords({ models_bytes, partial_bytes }: Storage): string {
  const finished = `${bytes(models_bytes)} in finished files`;
  return partial_bytes > 0 ? `${finished} + ${bytes(partial_bytes)} unfinished` : finished;
}

function List() {
  const most = useSignal(CHUNK);
  const known = all.value ?? [];
  const found = known.filter((model) => matches(model, search.value));
  if (known.length === 0)
    return (
      <Empty title="Nothing on disk yet" icon="disk">
        <p>Finished downloads are listed here.</p>
        <a class="button primary" href={href("add")}>
          Add a download
        </a>
      </Empty>
    );
  return (
    <>
      <Field label="Find a model" hidden>
        <Input
          type="search"
          value={search.value}
          placeholder="Find a model"
          onInput={({ currentTarget }) => (search.value = currentTarget.value)}
        />
      </Field>
      {found.length === 0 && <p class="faint">No model has "{search.value.trim()}" in its name.</p>}
      <ul class="models" aria-label="Models">
        {found.slice(0, most.value).map((model) => (
          <ModelRow key={model.id} model={model} />
        ))}
      </ul>
      {found.length > most.value && (
        <Button onClick={() => (most.value += CHUNK)}>
          Show more ({number(found.length - most.value)} left)
        </Button>
      )}
    </>
  );
}
