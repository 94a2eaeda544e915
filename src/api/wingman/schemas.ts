import { type Static, Type } from "@sinclair/typebox";
import { STATES } from "../../core/download.ts";
import { booleanText, textParam } from "../doc.ts";
import { open, ref, text, whole, word } from "../wire.ts";
import { FILE_WORDS, VIEW_WORDS } from "./present.ts";

const REPO = "Repository of the Hugging Face hub, owner/name";
const FILE = "Path of the file in the repository";
const RETRY = "true queues a failed or cancelled one again";

const names = {
  ModelRepo: textParam(REPO),
  modelRepo: textParam("Another spelling of ModelRepo"),
  FilePath: textParam(FILE, 4096),
  filePath: textParam("Another spelling of FilePath", 4096),
};

export const DownloadQuery = open({
  ...names,
  retry: booleanText(RETRY),
});

export const ProgressQuery = open({ ...names, ticket: textParam("From POST /v1/tickets, for streams") });

const PAIR = { ModelRepo: "acme/tiny-gguf", FilePath: "tiny-Q4_K_M.gguf" };

export const DownloadBody = open(
  {
    ModelRepo: Type.Optional(text(REPO, 512)),
    modelRepo: Type.Optional(text("Another spelling of ModelRepo", 512)),
    FilePath: Type.Optional(text(FILE)),
    filePath: Type.Optional(text("Another spelling of FilePath")),
    retry: Type.Optional(Type.Boolean({ description: RETRY })),
  },
  {
    title: "WingmanRequest",
    description: "What is not here may stand in the query",
    example: PAIR,
  },
);
export type DownloadBody = Static<typeof DownloadBody>;

/* ---------------------------------------------------------------- answers; they document, handlers build them */

const core = (words: readonly string[]) => ({
  status: word(words),
  progress: Type.Number({ minimum: 0, maximum: 100 }),
  error: Type.Unsafe<string | null>({ type: "string", nullable: true }),
});

const extras = {
  ModelRepo: Type.String({ description: "Of a URL its model id" }),
  FilePath: Type.String({ description: "Of a URL its file name, of a whole repository empty" }),
  id: Type.String({ format: "uuid", description: "Good for pause, resume and the rest under /v1/downloads" }),
  model_id: Type.String(),
  state: word(STATES),
  downloaded_bytes: whole("Bytes on disk; of what was cancelled or has failed, how far it came"),
  total_bytes: whole("0 while unknown"),
};

export const AnswerSchema = open(
  {
    ...core(FILE_WORDS),
    message: Type.String({ description: "What that means for this request" }),
    ...extras,
  },
  { description: "How the download of that file stands" },
);

export const ViewSchema = open({ ...core(VIEW_WORDS), ...extras }, { description: "Progress of one file" });

export const WingmanErrorSchema = open(
  { ...core(["failed"]), error: Type.String() },
  { description: "Every error of this family" },
);

/** One with both names given, else all that fits. */
export const OneOrAll = Type.Unsafe<unknown>({
  oneOf: [ref("WingmanProgress"), Type.Array(ref("WingmanProgress"))],
});

const RECORD = {
  ...PAIR,
  id: "0b3c0c5e-7d0c-4f0e-9d64-0a6f4d0f8a11",
  model_id: "acme/tiny-gguf/tiny-Q4_K_M.gguf",
};

export const QUEUED_EXAMPLE = {
  status: "queued",
  progress: 0,
  error: null,
  message: "Download queued",
  ...RECORD,
  state: "queued",
  downloaded_bytes: 0,
  total_bytes: 0,
};

export const DONE_EXAMPLE = {
  ...QUEUED_EXAMPLE,
  status: "done",
  progress: 100,
  message: "Download is already completed",
  state: "completed",
  downloaded_bytes: 8_388_608,
  total_bytes: 8_388_608,
};

export const VIEW_EXAMPLE = {
  status: "downloading",
  progress: 42.5,
  error: null,
  ...RECORD,
  state: "downloading",
  downloaded_bytes: 3_565_158,
  total_bytes: 8_388_608,
};

export const ERROR_EXAMPLE = { status: "failed", progress: 0, error: "Give 'ModelRepo' and 'FilePath'" };

export const EVENTS_EXAMPLE = `id: 7\ndata: ${JSON.stringify(VIEW_EXAMPLE)}\n\n`;
