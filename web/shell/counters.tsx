import { number } from "../parts/format.ts";
import { counters } from "../state/store.ts";

type Key = "total" | "startup" | "regular" | "embedding" | "llm";
/** The second part of a label is left out where there is no room. */
const COUNTERS: [key: Key, label: string, long?: string][] = [
  ["total", "Total", " active"],
  ["startup", "Startup"],
  ["regular", "Regular"],
  ["embedding", "Embedding", " models"],
  ["llm", "LLM", " models"],
];

/** The five counters of unfinished downloads (R115). */
export function CounterStrip() {
  return (
    <dl class="counters" aria-label="Unfinished downloads">
      {COUNTERS.map(([key, label, long]) => (
        <div key={key}>
          <dt>
            {label}
            {long && <span class="long">{long}</span>}
          </dt>
          <dd>{number(counters.value[key])}</dd>
        </div>
      ))}
    </dl>
  );
}
