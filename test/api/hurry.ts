/** Preloaded before a seed's example: its waits of a second and more pass fifteen times as fast. */
const FASTER = 15;
const hurried = (ms = 0) => (ms >= 1000 ? ms / FASTER : ms);

const { setTimeout: later, setInterval: repeatedly } = globalThis;
globalThis.setTimeout = Object.assign(
  (run: TimerHandler, ms?: number, ...args: unknown[]) => later(run as () => void, hurried(ms), ...args),
  later,
) as typeof setTimeout;
globalThis.setInterval = Object.assign(
  (run: TimerHandler, ms?: number, ...args: unknown[]) => repeatedly(run as () => void, hurried(ms), ...args),
  repeatedly,
) as typeof setInterval;
