import { useEffect, useRef } from "preact/hooks";
import { prefs } from "../../state/prefs.ts";

/** Does it at the reader's interval while the page is in sight, never twice at a time (R114). */
export function usePolling(work: () => Promise<unknown>, isOn = true): void {
  const latest = useRef(work);
  latest.current = work;
  const seconds = prefs.interval.value;
  useEffect(() => {
    if (!isOn) return;
    let isWorking = false;
    const tick = async (): Promise<void> => {
      if (isWorking || document.visibilityState === "hidden") return;
      isWorking = true;
      await latest.current().catch(() => {});
      isWorking = false;
    };
    const timer = setInterval(() => void tick(), seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds, isOn]);
}
