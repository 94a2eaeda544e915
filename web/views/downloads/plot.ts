/** The chart itself; loaded only when it is to be seen, because its library weighs as much as the page. */
import uPlot from "uplot";
import { bytes, speed } from "../../parts/format.ts";
import type { SpeedSample } from "../../state/store.ts";

const SPAN_SECONDS = 300;
/** An axis never zooms in on less than this: a trickle shall not look like a flood. */
const LEAST_TOP = 64 * 1024;

export interface Plot {
  /** Bytes per second over time, oldest first. */
  draw(samples: readonly SpeedSample[]): void;
  /** Takes the colors and the width anew. */
  refresh(): void;
  destroy(): void;
}

/** Draws into `host`; its own color, border color and outline color are those of the line, the grid and the text. */
export function plot(host: HTMLElement): Plot {
  let samples: readonly SpeedSample[] = [];
  let chart = create(host);
  const draw = (): void => chart.setData(dataOf(samples));
  const resize = (): void => chart.setSize(sizeOf(host));
  const watcher = new ResizeObserver(resize);
  watcher.observe(host);
  return {
    draw(fresh) {
      samples = fresh;
      draw();
    },
    refresh() {
      chart.destroy();
      chart = create(host);
      draw();
    },
    destroy() {
      watcher.disconnect();
      chart.destroy();
    },
  };
}

const sizeOf = (host: HTMLElement) => ({ width: host.clientWidth, height: host.clientHeight });

const dataOf = (samples: readonly SpeedSample[]): uPlot.AlignedData => [
  samples.map(({ at }) => at / 1000),
  samples.map(({ speed: bps }) => bps),
];

function create(host: HTMLElement): uPlot {
  const { color: line, borderTopColor: grid, outlineColor: text, fontFamily } = getComputedStyle(host);
  const axis = {
    stroke: text,
    font: `11px ${fontFamily}`,
    grid: { stroke: grid, width: 1 },
    ticks: { show: false },
  };
  return new uPlot(
    {
      ...sizeOf(host),
      legend: { show: false },
      cursor: { show: false },
      padding: [8, 16, 0, 0],
      scales: {
        x: { time: false, range: () => [Date.now() / 1000 - SPAN_SECONDS, Date.now() / 1000] },
        y: { range: (_, __, most) => [0, Math.max(most * 1.1, LEAST_TOP)] },
      },
      axes: [
        { ...axis, size: 20, gap: 2, splits: minutes, values: (_, at) => at.map(agoWords) },
        {
          ...axis,
          size: 66,
          gap: 6,
          splits: steps,
          values: (_, at) => at.map((bps) => (bps === 0 ? bytes(0) : speed(bps))),
        },
      ],
      series: [{}, { stroke: line, width: 1.5, fill: faded(line), points: { show: false } }],
    },
    [[], []],
    host,
  );
}

/** Every minute back from now. */
const minutes = (chart: uPlot): number[] => {
  const end = chart.scales.x?.max ?? 0;
  return [5, 4, 3, 2, 1, 0].map((back) => end - back * 60);
};

const agoWords = (_: number, index: number): string =>
  index === 5 ? "now" : index % 2 === 0 ? "" : `${5 - index} min`;

/** CSS pixels that a label and some air beneath it take. */
const LABEL = 14;

/** Nothing and a round number near the top, and half of that where there is room for its label. */
function steps(chart: uPlot, _axis: number, _least: number, most: number): number[] {
  const unit = 1024 ** Math.floor(Math.log2(most) / 10);
  const round = [1, 2, 5, 10, 20, 50, 100, 200, 500].findLast((step) => step * unit <= most) ?? 1;
  const half = (round * unit) / 2;
  const room = (half / most) * (chart.bbox.height / devicePixelRatio);
  return room < LABEL ? [0, 2 * half] : [0, half, 2 * half];
}

/** The same color, nearly transparent. */
function faded(color: string): string {
  const legacy = /^rgb\((\d+), (\d+), (\d+)\)$/.exec(color);
  if (legacy) return `rgba(${legacy[1]}, ${legacy[2]}, ${legacy[3]}, 0.12)`;
  return color.replace(/\)$/, " / 0.12)");
}
