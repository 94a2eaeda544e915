import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { Button, IconButton } from "../../parts/button.tsx";
import { copy } from "../../parts/copy.ts";
import { bytes, date, number, percent, stateWord, time } from "../../parts/format.ts";
import { toast } from "../../state/notices.ts";
import { href } from "../../state/route.ts";
import { providerWord } from "../providers.ts";
import { type Model, type Trust, trustIn } from "./groups.ts";
import { isRemoving, removeModel } from "./remove.ts";
import { type Unfinished, unfinished } from "./unfinished.ts";
import { verify, type Work, workOn } from "./verify.ts";

const WORDS: Record<Trust, { text: string; tip: string; advice?: string }> = {
  verified: { text: "verified", tip: "Its bytes were compared with the digest the hub promised" },
  unverified: { text: "not verified", tip: "Nobody promised a digest, or it was not compared yet" },
  damaged: {
    text: "damaged",
    tip: "It was read again, and is not what it should be",
    advice: "Not what it should be: delete it and download it again.",
  },
  changed: {
    text: "changed",
    tip: "Somebody has written to it since it was downloaded or verified",
    advice: "Written to since it was downloaded or verified: verify it.",
  },
  missing: {
    text: "missing",
    tip: "It is not there any more",
    advice: "No longer on disk: delete the entry, or download it again.",
  },
};

/** What is wrong with the bytes is said first; then that there are not all of them. */
const isSound = (trust: Trust): boolean => trust === "verified" || trust === "unverified";

/** One model; its files when it is opened. */
export function ModelRow({ model }: { model: Model }) {
  const isOpen = useSignal(false);
  const id = useId();
  const { name, files, size, completedAt, provider, path } = model;
  const work = workOn(model);
  const trust = trustIn(files);
  const rest = unfinished(model);
  const advice = work || rest?.isHeld ? undefined : WORDS[trust].advice;
  return (
    <li class="model" aria-labelledby={`${id}-name`}>
      <div class="model-line">
        <IconButton
          icon="chevron"
          label={`Details of ${name}`}
          expanded={isOpen.value}
          controls={`${id}-more`}
          onClick={() => (isOpen.value = !isOpen.value)}
        />
        <div class="model-name">
          <strong id={`${id}-name`}>{name}</strong>
          <span class="faint">
            {[providerWord(provider), ...(files.length > 1 ? [`${number(files.length)} files`] : [])].join(
              " · ",
            )}
          </span>
          {advice && <span class={`model-advice ${trust}`}>{advice}</span>}
          {rest && <Rest model={model} rest={rest} />}
        </div>
        <span class="model-size">{bytes(size)}</span>
        <span class="model-when faint" title={completedAt === undefined ? "" : date(completedAt)}>
          {completedAt !== undefined && time(completedAt)}
        </span>
        <span class="model-trust">
          {work ? <Progress work={work} name={name} /> : <Mark trust={trust} rest={rest} />}
        </span>
        <Actions model={model} work={work} path={path} trust={trust} isHeld={rest?.isHeld === true} />
      </div>
      {isOpen.value && <Details model={model} id={`${id}-more`} />}
    </li>
  );
}

function Mark({ trust, rest }: { trust: Trust; rest: Unfinished | undefined }) {
  if (rest && isSound(trust))
    return (
      <span class="mark unfinished" title="Not all of its files are there">
        unfinished
      </span>
    );
  const { text, tip } = WORDS[trust];
  return (
    <span class={`mark ${trust}`} title={tip}>
      {text}
    </span>
  );
}

/** What its download is doing, and the way to it. */
function Rest({ model: { id, name }, rest: { state, files } }: { model: Model; rest: Unfinished }) {
  const count = files && files.total > 0 && `, ${number(files.done)} of ${number(files.total)} files`;
  return (
    <span class="model-advice">
      Unfinished: {stateWord(state)}
      {count}.{" "}
      <a href={href("downloads", { show: id })} aria-label={`Show the download of ${name}`}>
        Show the download
      </a>
    </span>
  );
}

function Progress({ work: { bytes: read, total }, name }: { work: Work; name: string }) {
  const share = total === 0 ? 0 : (100 * read) / total;
  return (
    <span class="model-progress">
      <progress class="bar verifying" max={100} value={share} aria-label={`Verifying ${name}`} />
      <span>{percent(share)}</span>
    </span>
  );
}

interface ActionsProps {
  model: Model;
  work: Work | undefined;
  path: string | undefined;
  trust: Trust;
  /** Its download has not ended: the server deletes nothing of it. */
  isHeld: boolean;
}

function Actions({ model, work, path, trust, isHeld }: ActionsProps) {
  const { name } = model;
  const isBusy = isRemoving(model);
  return (
    <div class="model-acts">
      {work ? (
        <Button kind="quiet" label={`Stop verifying ${name}`} onClick={work.stop}>
          Stop
        </Button>
      ) : (
        <Button
          kind="quiet"
          icon="check"
          label={`Verify ${name}`}
          disabled={isBusy || trust === "missing"}
          onClick={() => void verify(model)}
        >
          Verify
        </Button>
      )}
      <IconButton
        icon="copy"
        label={`Copy path of ${name}`}
        disabled={path === undefined}
        onClick={() => void copyPath(path ?? "")}
      />
      {!isHeld && (
        <IconButton
          icon="trash"
          danger
          label={`Delete ${name}`}
          disabled={isBusy || work !== undefined}
          onClick={() => void removeModel(model)}
        />
      )}
    </div>
  );
}

async function copyPath(path: string): Promise<void> {
  if (await copy(path)) toast("Path copied", { kind: "good" });
  else toast(`The browser does not allow copying. The path is ${path}`, { kind: "bad" });
}

function Details({ model, id }: { model: Model; id: string }) {
  const { files, path, provider, completedAt } = model;
  const [first] = files;
  return (
    <div class="model-more" id={id}>
      <dl>
        <dt>{files.length === 1 ? "Path" : "Folder"}</dt>
        <dd class="path">{path ?? "not known"}</dd>
        {files.length === 1 && first?.digest !== undefined && (
          <>
            <dt>Digest</dt>
            <dd class="path">{first.digest}</dd>
          </>
        )}
        <dt>From</dt>
        <dd>{providerWord(provider)}</dd>
        {completedAt !== undefined && (
          <>
            <dt>{unfinished(model) ? "Newest file" : "Completed"}</dt>
            <dd>{date(completedAt)}</dd>
          </>
        )}
      </dl>
      {files.length > 1 && (
        <ul class="model-files" aria-label="Files">
          {files.map((file) => {
            const trust = trustIn([file]);
            return (
              <li key={file.id}>
                <span class="path">{file.path}</span>
                <span>{bytes(file.size)}</span>
                <span class={`mark ${trust}`}>{WORDS[trust].text}</span>
              </li>
            );
          })}
        </ul>
      )}
    </div>
  );
}
