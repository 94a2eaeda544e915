/** Total speed of the last minutes. The library comes when the chart is first seen. */
import { useSignalEffect } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { speed } from "../../parts/format.ts";
import { isStale } from "../../state/connection.ts";
import { prefs } from "../../state/prefs.ts";
import { speedHistory, totalSpeed } from "../../state/store.ts";
import type { Plot } from "./plot.ts";

/** Light or dark has changed, by the system or by the reader. */
function useRepaint(plot: Plot | undefined): void {
  useEffect(() => {
    const system = matchMedia("(prefers-color-scheme: dark)");
    const repaint = (): void => plot?.refresh();
    system.addEventListener("change", repaint);
    return () => system.removeEventListener("change", repaint);
  }, [plot]);
  useSignalEffect(() => {
    prefs.theme.value;
    // The attribute that carries the theme is set by another effect of the same change.
    requestAnimationFrame(() => plot?.refresh());
  });
}

export function SpeedChart() {
  const host = useRef<HTMLDivElement>(null);
  const [drawn, setDrawn] = useState<Plot>();
  useEffect(() => {
    let made: Plot | undefined;
    let isGone = false;
    void import("./plot.ts").then(
      ({ plot }) => {
        if (isGone || host.current === null) return;
        made = plot(host.current);
        setDrawn(made);
      },
      // Without its chart the page is whole; the figures stand beside it.
      () => {},
    );
    return () => {
      isGone = true;
      made?.destroy();
    };
  }, []);
  useEffect(() => {
    if (drawn === undefined) return;
    const draw = (): void => {
      if (document.visibilityState !== "hidden") drawn.draw(speedHistory.peek());
    };
    const end = speedHistory.subscribe(draw);
    document.addEventListener("visibilitychange", draw);
    return () => {
      end();
      document.removeEventListener("visibilitychange", draw);
    };
  }, [drawn]);
  useRepaint(drawn);
  return (
    <figure class="speed">
      <figcaption class="speed-now">
        <span class="speed-label">Total speed</span>
        <Now />
        <Most />
      </figcaption>
      <div class="speed-plot" role="img" aria-label="Total speed of the last 5 minutes" ref={host} />
    </figure>
  );
}

function Now() {
  return <strong class="speed-value">{isStale.value ? "–" : speed(totalSpeed.value)}</strong>;
}

function Most() {
  // What is shown beside it may be newer than the last sample.
  const most = Math.max(totalSpeed.value, ...speedHistory.value.map((sample) => sample.speed));
  return <span class="faint">highest {speed(most)}</span>;
}
