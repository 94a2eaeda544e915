import "./add.css";
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Button } from "../../parts/button.tsx";
import { Field, TextArea } from "../../parts/field.tsx";
import { bytes, number } from "../../parts/format.ts";
import { loadStorage } from "../../state/actions.ts";
import { toast } from "../../state/notices.ts";
import { go, route } from "../../state/route.ts";
import { startAll } from "./begin.ts";
import { ItemCard } from "./item.tsx";
import {
  addText,
  bytesOf,
  freeSpace,
  giveBack,
  type Item,
  isReading,
  isReady,
  items,
  removeItem,
  typed,
} from "./items.ts";

/** Looks up what is typed, pasted or dropped, lets choose, and starts it. */
export function AddView() {
  const text = typed;
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    field.current?.focus();
    void loadStorage().catch(() => {});
  }, []);
  useReferences();
  const lookUp = async (what: string): Promise<void> => {
    text.value = "";
    await addText(what);
  };
  const edit = (item: Item): void => {
    giveBack([item.line]);
    removeItem(item);
    field.current?.focus();
  };
  return (
    <div class="add">
      <div class="add-scroll">
        <h2>Add downloads</h2>
        <form
          class="add-form"
          onSubmit={(event) => {
            event.preventDefault();
            void lookUp(text.value);
          }}
        >
          <Field
            label="URL, repository or model"
            hint="A link, a Hugging Face or ModelScope repository, or an Ollama name; several on lines of their own."
          >
            <TextArea
              ref={field}
              rows={Math.min(8, text.value.split("\n").length)}
              value={text.value}
              placeholder="org/name, https://…, llama3.2"
              spellcheck={false}
              autocapitalize="off"
              autocomplete="off"
              onInput={({ currentTarget }) => (text.value = currentTarget.value)}
              onKeyDown={(event) => {
                if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
                event.preventDefault();
                void lookUp(text.value);
              }}
              onPaste={(event) => {
                const pasted = event.clipboardData?.getData("text/plain") ?? "";
                if (text.value.trim() !== "" || pasted.trim() === "") return;
                event.preventDefault();
                void lookUp(pasted);
              }}
            />
          </Field>
          <Button type="submit" icon="search" busy={isReading.value} disabled={text.value.trim() === ""}>
            Look up
          </Button>
        </form>
        <ul class="add-items" aria-label="To download">
          {items.value.map((item) => (
            <ItemCard key={item.id} item={item} onEdit={() => edit(item)} />
          ))}
        </ul>
      </div>
      {items.value.length > 0 && <Footer />}
    </div>
  );
}

/** `#/add?ref=org/name&ref=…` is looked up once and leaves the address. */
function useReferences(): void {
  const references = route.value.params.getAll("ref");
  useEffect(() => {
    if (references.length === 0) return;
    history.replaceState(null, "", "#/add");
    void addText(references.join("\n"));
  }, [references.join("\n")]);
}

function Footer() {
  const isStarting = useSignal(false);
  const ready = items.value.filter(isReady);
  const download = async (): Promise<void> => {
    isStarting.value = true;
    const { started, joined, refused } = await startAll();
    isStarting.value = false;
    if (started > 0) toast(`${plural(started, "download")} started`, { kind: "good" });
    if (joined > 0) toast(`${plural(joined, "download")} under way already`);
    if (refused === 0 && items.value.length === 0) go("downloads");
  };
  return (
    <footer class="add-foot">
      <Summary ready={ready} />
      <Button
        kind="primary"
        icon="down"
        busy={isStarting.value}
        disabled={ready.length === 0}
        onClick={() => void download()}
      >
        {ready.length > 1 ? `Download ${number(ready.length)}` : "Download"}
      </Button>
    </footer>
  );
}

function Summary({ ready }: { ready: readonly Item[] }) {
  const sizes = ready.map(bytesOf);
  const needed = sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
  const isOpen = sizes.some((size) => size === undefined);
  const free = freeSpace();
  const parts = [
    plural(ready.length, "download"),
    ...(needed > 0 ? [`${isOpen ? "at least " : ""}${bytes(needed)}`] : []),
    ...(free === undefined ? [] : [`${bytes(free)} free`]),
  ];
  return (
    <div class="add-sum">
      <p role="status">
        {parts.map((part, at) => (
          <span key={at}>
            {at > 0 && " · "}
            <span class="part">{part}</span>
          </span>
        ))}
      </p>
      {free !== undefined && needed > free && (
        <p class="bad">{bytes(needed - free)} too much: what does not fit waits until there is room.</p>
      )}
    </div>
  );
}

const plural = (count: number, noun: string): string => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
