import type { State } from "../state/types.ts";

interface BarProps {
  /** 0 to 100; undefined while nobody knows how much there is. */
  percentage: number | undefined;
  state: State;
  /** Read out with the number. */
  label: string;
}

/** Progress of one download. */
export function Bar({ percentage, state, label }: BarProps) {
  const value = percentage === undefined ? {} : { value: percentage };
  return <progress class={`bar ${state}`} max={100} aria-label={label} {...value} />;
}
