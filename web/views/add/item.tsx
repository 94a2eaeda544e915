import type { RefObject } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { Button, IconButton } from "../../parts/button.tsx";
import { useHeirs } from "../../parts/focus.ts";
import { bytes } from "../../parts/format.ts";
import { ErrorBox, Loading } from "../../parts/states.tsx";
import { providerWord } from "../providers.ts";
import { EngineFields } from "./engine.tsx";
import { type Found, type Item, isOllama, look, removeItem } from "./items.ts";
import { OptionFields } from "./options.tsx";
import { Picker } from "./picker.tsx";
import { TokenField } from "./token.tsx";

/** One reference: what it is, what of it to take, and how. */
export function ItemCard({ item, onEdit }: { item: Item; onEdit: () => void }) {
  const titleId = useId();
  const card = useRef<HTMLLIElement>(null);
  useWanted(card, item);
  const { reading, line, refusal } = item;
  const found = item.found.value;
  const name = reading?.model_id ?? line;
  return (
    <li ref={card} class="add-item" tabIndex={-1} aria-labelledby={titleId}>
      <header>
        <div class="add-name">
          <h3 id={titleId}>{name}</h3>
          <p class="faint">{facts(item, found).join(" · ")}</p>
        </div>
        <IconButton icon="close" label={`Leave out ${name}`} onClick={() => removeItem(item)} />
      </header>
      <Body item={item} found={found} onEdit={onEdit} />
      {found.kind !== "failed" && found.kind !== "looking" && (
        <div class="add-more">
          <OptionFields item={item} />
          {item.provider.value !== "ollama" && <EngineFields item={item} />}
        </div>
      )}
      {refusal.value && <ErrorBox title="Not started">{refusal.value}</ErrorBox>}
    </li>
  );
}

/** Gives the focus to the option that is to have it, unfolding what it stands in. */
function useWanted(card: RefObject<HTMLLIElement | null>, { wanted }: Item): void {
  const name = wanted.value;
  useLayoutEffect(() => {
    if (name === undefined) return;
    wanted.value = undefined;
    const field = card.current?.querySelector<HTMLElement>(`[name="${name}"]`);
    const folded = field?.closest("details");
    if (folded) folded.open = true;
    field?.focus();
  }, [name]);
}

function facts({ reading, line, provider }: Item, found: Found): string[] {
  const { revision, model_id, include } = reading ?? {};
  const listing = found.kind === "choose" ? found.listing : undefined;
  return [
    providerWord(provider.value),
    ...(revision === undefined || found.kind === "whole" ? [] : [revision]),
    ...(listing?.commit === undefined ? [] : [listing.commit.slice(0, 8)]),
    ...(listing?.gated ? ["gated"] : []),
    ...(include === undefined ? [] : [include.join(", ")]),
    ...(line === model_id || found.kind === "choose" ? [] : [line.split(/[?#]/)[0]!]),
  ].filter((part) => part !== "");
}

function Body({ item, found, onEdit }: { item: Item; found: Found; onEdit: () => void }) {
  switch (found.kind) {
    case "looking":
      return <Loading label="Looking it up" />;
    case "failed":
      return (
        <Failed item={item} onEdit={onEdit} wantsToken={found.wantsToken}>
          {found.message}
        </Failed>
      );
    case "whole":
      return isOllama(item) ? <OllamaWay item={item} size={found.size} /> : <Whole item={item} />;
    case "choose":
      return (
        <>
          {found.listing.gated && <GateNote item={item} />}
          <Picker choices={found.choices} chosen={item.chosen} />
        </>
      );
  }
}

interface FailedProps {
  item: Item;
  onEdit: () => void;
  wantsToken: boolean;
  /** Why. */
  children: string;
}

/** What can be done about it. The focus stays at the card when it is looked up again. */
function Failed({ item, onEdit, wantsToken, children }: FailedProps) {
  const { reading } = item;
  const own = useRef<HTMLDivElement>(null);
  const card = useRef<HTMLElement>(null);
  useLayoutEffect(() => {
    card.current = own.current?.closest("li") ?? null;
  }, []);
  useHeirs(own, () => [card.current]);
  const actions = (
    <>
      {reading && !reading.error && (
        <Button kind="quiet" onClick={() => void look(item)}>
          Try again
        </Button>
      )}
      <Button kind="quiet" onClick={onEdit}>
        Edit
      </Button>
    </>
  );
  return (
    <div ref={own} class="add-failed">
      <ErrorBox action={actions}>{children}</ErrorBox>
      {wantsToken && <TokenForm item={item} />}
    </div>
  );
}

function Whole({ item: { provider } }: { item: Item }) {
  const what = provider.value === "url" ? "One file." : "Taken as written.";
  return <p class="faint">{what} Its size is known once the download has begun.</p>;
}

function TokenForm({ item }: { item: Item }) {
  return (
    <form
      class="add-token"
      onSubmit={(event) => {
        event.preventDefault();
        void look(item);
      }}
    >
      <TokenField item={item} hint="Of an account that may see it. It is used for this download only." />
      <Button type="submit" disabled={item.token.value.trim() === ""}>
        Look again
      </Button>
    </form>
  );
}

function GateNote({ item }: { item: Item }) {
  return (
    <TokenField
      item={item}
      hint="Its licence must be accepted on the hub first. Needed unless the server has a token of its own; used for this download only."
    />
  );
}

const WAYS = [
  { provider: "ollama", label: "Ollama fetches it", hint: "A running Ollama pulls and keeps it." },
  {
    provider: "ollama-registry",
    label: "Without Ollama",
    hint: "Straight from the registry into Ollama's models folder.",
  },
];

function OllamaWay({ item: { provider, id }, size }: { item: Item; size: number | undefined }) {
  return (
    <fieldset class="add-ways">
      <legend>{size === undefined ? "Size not known yet" : bytes(size)}</legend>
      {WAYS.map((way) => (
        <label key={way.provider} class="add-way">
          <input
            type="radio"
            name={`way-${id}`}
            checked={provider.value === way.provider}
            onChange={() => (provider.value = way.provider)}
          />
          <span>{way.label}</span>
          <span class="faint">{way.hint}</span>
        </label>
      ))}
    </fieldset>
  );
}
