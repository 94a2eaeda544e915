import "../page.css";
import "./engines.css";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Button, IconButton } from "../../parts/button.tsx";
import { number } from "../../parts/format.ts";
import { Empty, ErrorBox, Loading } from "../../parts/states.tsx";
import { loadEngines } from "../../state/actions.ts";
import { href } from "../../state/route.ts";
import { engines } from "../../state/store.ts";
import { EngineCard } from "./card.tsx";
import { usePolling } from "./polling.ts";

/** What models have become. */
export function EnginesView() {
  const problem = useSignal<string | undefined>(undefined);
  const load = async (): Promise<void> => {
    try {
      await loadEngines();
      problem.value = undefined;
    } catch (error) {
      problem.value = error instanceof Error ? error.message : String(error);
    }
  };
  usePolling(load);
  useEffect(() => void load(), []);
  const all = engines.value;
  return (
    <div class="page">
      <header class="page-head">
        <h2>Engines</h2>
        {all !== null && (
          <p class="faint">
            {number(all.length)} {all.length === 1 ? "engine" : "engines"} ·{" "}
            {number(all.filter(({ state }) => state === "loaded").length)} loaded
          </p>
        )}
        <IconButton icon="retry" label="Refresh the list" onClick={() => void load()} />
      </header>
      {problem.value && (
        <ErrorBox
          title="The list could not be read"
          action={<Button onClick={() => void load()}>Try again</Button>}
        >
          {problem.value}
        </ErrorBox>
      )}
      {all === null && problem.value === undefined && <Loading label="Asking for the engines" />}
      {all !== null && all.length === 0 && (
        <Empty title="No engines" icon="engine">
          <p>A download becomes an engine when that is chosen as it is added.</p>
          <a class="button primary" href={href("add")}>
            Add a download
          </a>
        </Empty>
      )}
      {all !== null && all.length > 0 && (
        <ul class="engines" aria-label="Engines">
          {all.map((engine) => (
            <EngineCard key={engine.engine_id} engine={engine} />
          ))}
        </ul>
      )}
    </div>
  );
}
