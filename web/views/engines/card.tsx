import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { Button, IconButton } from "../../parts/button.tsx";
import { bytes, date, number } from "../../parts/format.ts";
import { ErrorBox } from "../../parts/states.tsx";
import type { EngineItem } from "../../state/types.ts";
import { LogTail } from "./log.tsx";
import { ALLOWED, isPending, remove, start, stop } from "./work.ts";

const STATES: Record<EngineItem["state"], string> = {
  created: "not loaded",
  loading: "loading",
  loaded: "loaded",
  stopped: "stopped",
  failed: "failed",
};

/** One engine: what it is, what it does, and its log when that is opened. */
export function EngineCard({ engine }: { engine: EngineItem }) {
  const isLogOpen = useSignal(false);
  const id = useId();
  const { engine_id, state, error_message } = engine;
  return (
    <li class="engine" aria-labelledby={`${id}-name`}>
      <header class="engine-head">
        <h3 id={`${id}-name`}>{engine_id}</h3>
        <span class={`mark engine-${state}`}>{STATES[state]}</span>
        <Commands engine={engine} />
      </header>
      {error_message && <ErrorBox title="Why it failed">{error_message}</ErrorBox>}
      <Facts engine={engine} />
      <div class="engine-log">
        <Button
          kind="quiet"
          icon="file"
          label={`${isLogOpen.value ? "Close" : "Open"} log of ${engine_id}`}
          onClick={() => (isLogOpen.value = !isLogOpen.value)}
        >
          {isLogOpen.value ? "Close log" : "Log"}
        </Button>
        {isLogOpen.value && <LogTail id={engine_id} />}
      </div>
    </li>
  );
}

function Commands({ engine }: { engine: EngineItem }) {
  const { engine_id: id, state } = engine;
  const isStarting = isPending("start", id);
  const isStopping = isPending("stop", id);
  const mayStop = ALLOWED.stop.includes(state) || isStarting;
  return (
    <div class="engine-acts">
      <Button
        kind="quiet"
        icon="play"
        label={`Start ${id}`}
        busy={isStarting}
        disabled={!ALLOWED.start.includes(state)}
        onClick={() => void start(id)}
      >
        Start
      </Button>
      <Button
        kind="quiet"
        icon="pause"
        label={`Stop ${id}`}
        busy={isStopping}
        disabled={!mayStop}
        onClick={() => void stop(id)}
      >
        Stop
      </Button>
      <IconButton
        icon="trash"
        danger
        label={`Delete engine ${id}`}
        disabled={isPending("remove", id)}
        onClick={() => void remove(engine)}
      />
    </div>
  );
}

const KINDS: Record<EngineItem["model_type"], string> = {
  llm: "Language model",
  embedding: "Embedding model",
};

function Facts({ engine }: { engine: EngineItem }) {
  const { details, endpoint, runtime, model_type, main_gpu_id, loading_parameters, model_path } = engine;
  const parameters = details?.parameter_count;
  const context = loading_parameters.n_ctx;
  return (
    <dl class="engine-facts">
      <Fact name="Kind">{KINDS[model_type]}</Fact>
      <Fact name="Runtime">{runtime}</Fact>
      {endpoint !== undefined && (
        <Fact name="Endpoint">
          <Address text={endpoint} />
        </Fact>
      )}
      {details !== undefined && (
        <>
          <Fact name="Format">{details.format}</Fact>
          {details.architecture !== undefined && <Fact name="Architecture">{details.architecture}</Fact>}
          {details.quantization !== undefined && <Fact name="Quantization">{details.quantization}</Fact>}
          {parameters !== undefined && <Fact name="Parameters">{short(parameters)}</Fact>}
          {details.context_length !== undefined && (
            <Fact name="Trained context">{number(details.context_length)} tokens</Fact>
          )}
          {details.memory_bytes !== undefined && (
            <Fact name="Memory">about {bytes(details.memory_bytes)}</Fact>
          )}
        </>
      )}
      {typeof context === "number" && <Fact name="Context">{number(context)} tokens</Fact>}
      <Fact name="GPU">{main_gpu_id < 0 ? "chosen by the engine" : main_gpu_id}</Fact>
      <Fact name="Created">{date(engine.created_at)}</Fact>
      <Fact name="File" wide>
        <span class="path">{model_path}</span>
      </Fact>
    </dl>
  );
}

interface FactProps {
  name: string;
  wide?: boolean;
  children: ComponentChildren;
}

function Fact({ name, wide, children }: FactProps) {
  return (
    <div class={wide ? "wide" : ""}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** A link only where it leads to a web server (F202). */
function Address({ text }: { text: string }) {
  if (!/^https?:\/\//i.test(text)) return <>{text}</>;
  return (
    <a class="path" href={text} target="_blank" rel="noreferrer noopener">
      {text}
    </a>
  );
}

const compact = new Intl.NumberFormat(globalThis.navigator?.language, {
  notation: "compact",
  maximumSignificantDigits: 3,
});
const short = (count: number): string => compact.format(count);
