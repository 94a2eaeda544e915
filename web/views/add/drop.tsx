/** Links dropped or pasted anywhere on the page are looked up. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { go } from "../../state/route.ts";
import { addText } from "./items.ts";
import { droppedText } from "./references.ts";

const isText = (data: DataTransfer | null): data is DataTransfer =>
  data?.types.some((type) => type === "text/uri-list" || type === "text/plain") === true;

const isField = (target: EventTarget | null): boolean =>
  target instanceof Element && target.closest("input, textarea, select, [contenteditable], dialog") !== null;

function take(text: string): void {
  if (text.trim() === "") return;
  go("add");
  void addText(text);
}

/** Once on the page. */
export function DropTarget() {
  const isOver = useSignal(false);
  useEffect(() => {
    /** A row being reordered, or text of the page itself: nobody brings anything. */
    let isOurOwn = false;
    const listen = new AbortController();
    const on = <K extends keyof WindowEventMap>(type: K, act: (event: WindowEventMap[K]) => void): void =>
      addEventListener(type, act, { signal: listen.signal });
    on("dragstart", () => (isOurOwn = true));
    on("dragend", () => (isOurOwn = false));
    on("dragover", (event) => {
      if (isOurOwn || !isText(event.dataTransfer)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      isOver.value = true;
    });
    on("dragleave", ({ relatedTarget }) => {
      if (relatedTarget === null) isOver.value = false;
    });
    on("drop", (event) => {
      isOver.value = false;
      if (isOurOwn || !isText(event.dataTransfer)) return;
      event.preventDefault();
      take(droppedText(event.dataTransfer));
    });
    on("paste", (event) => {
      if (event.defaultPrevented || isField(event.target) || !isText(event.clipboardData)) return;
      take(event.clipboardData.getData("text/plain"));
    });
    return () => listen.abort();
  }, []);
  return isOver.value ? (
    <div class="drop-hint" aria-hidden="true">
      Drop links to download
    </div>
  ) : null;
}
