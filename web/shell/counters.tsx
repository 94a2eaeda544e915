import { number } from "../parts/format.ts";
import { counters } from "../state/store.ts";
import type { Counters } from "../state/tally.ts";

const COUNTERS: [
  key: keyof Counters & ("total" | "startup" | "regular" | "embedding" | "llm"),
  label: string,
][] = [
  ["total", "Active"],
  ["startup", "Startup"],
  ["regular", "Regular"],
  ["embedding", "Embedding"],
  ["llm", "LLM"],
];

/** The five counters of unfinished downloads (R115). */
export function CounterStrip() {
  return (
    <dl class="counters" aria-label="Unfinished downloads">
      {COUNTERS.map(([key, label]) => (
        <div key={key}>
          <dt>{label}</dt>
          <dd>{number(counters.value[key])}</dd>
        </div>
      ))}
    </dl>
  );
}
