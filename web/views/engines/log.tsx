import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { engineLog } from "../../state/actions.ts";
import { usePolling } from "./polling.ts";

/** How far from its end a reader still follows it, pixels. */
const NEAR = 24;

/** The last lines of an engine's own log. It follows the end unless the reader has scrolled away from it. */
export function LogTail({ id }: { id: string }) {
  const lines = useSignal<readonly string[] | null>(null);
  const problem = useSignal<string | undefined>(undefined);
  const box = useRef<HTMLPreElement>(null);
  const follows = useRef(true);
  const load = async (): Promise<void> => {
    try {
      const now = await engineLog(id);
      if (now.join("\n") !== lines.peek()?.join("\n")) lines.value = now;
      problem.value = undefined;
    } catch (error) {
      problem.value = error instanceof Error ? error.message : String(error);
    }
  };
  usePolling(load);
  useEffect(() => void load(), [id]);
  useLayoutEffect(() => {
    if (follows.current) box.current?.scrollTo({ top: box.current.scrollHeight });
  }, [lines.value]);
  const text = lines.value;
  if (problem.value !== undefined) return <p class="error">{problem.value}</p>;
  if (text === null) return null;
  if (text.length === 0) return <p class="faint">It has said nothing.</p>;
  return (
    <pre
      ref={box}
      class="log"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
      tabIndex={0}
      role="log"
      aria-live="off"
      aria-label={`Log of ${id}`}
      onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
        follows.current = scrollHeight - scrollTop - clientHeight < NEAR;
      }}
    >
      {text.join("\n")}
    </pre>
  );
}
