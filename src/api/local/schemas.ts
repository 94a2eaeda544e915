import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { STATES } from "../../core/download.ts";
import { open, whole, word } from "../wire.ts";

/** The five words of this family (R17). */
export const STATUS_WORDS = ["pending", "downloading", "completed", "failed", "cancelled"] as const;
export type StatusWord = (typeof STATUS_WORDS)[number];

const REPO = "TheBloke/Llama-2-7B-GGUF";
const FILE = "llama-2-7b.Q4_K_M.gguf";
const ID = "550e8400-e29b-41d4-a716-446655440000";

/** R1. */
export const RequestSchema = open(
  {
    repo_id: Type.String({ minLength: 1, maxLength: 512, description: "Hub repository, owner/name" }),
    filename: Type.String({ minLength: 1, maxLength: 1024, description: "Path of the file in it" }),
  },
  { description: "Which file to download", example: { repo_id: REPO, filename: FILE } },
);
export type RequestBody = Static<typeof RequestSchema>;

/* ---------------------------------------------------------------- answers; they document, handlers build them */

/** What is always there, and null while it is unknown (A9). */
const nullable = (schema: TSchema): TSchema => Type.Unsafe<unknown>({ ...schema, nullable: true });

const UuidSchema = Type.String({ format: "uuid" });
const time = (description: string) => nullable(Type.String({ format: "date-time", description }));

/** R2. */
export const ResponseSchema = open(
  { download_id: UuidSchema, message: Type.String() },
  { example: { download_id: ID, message: `Download started for ${REPO}/${FILE}` } },
);

/** R18. */
export const CancelledSchema = open(
  { message: Type.String() },
  { example: { message: "Download cancelled successfully" } },
);

/** R10-R17: data of each event of the stream. */
export const StatusSchema = open(
  {
    download_id: UuidSchema,
    repo_id: Type.String({ description: "Repository; of a plain URL the model id" }),
    filename: Type.String({
      description: "Path in the repository, or file name; empty for a whole repository",
    }),
    status: word(STATUS_WORDS),
    progress_percent: Type.Number({ minimum: 0, maximum: 100 }),
    bytes_downloaded: whole("Bytes on disk; of what was cancelled or has failed, how far it came"),
    total_bytes: nullable(whole("Bytes of all files together")),
    download_speed_mbps: nullable(
      Type.Number({ minimum: 0, description: "Megabits (10^6) per second; only while bytes move" }),
    ),
    eta_seconds: nullable(whole("Only while bytes move")),
    error_message: nullable(Type.String({ description: "Why it failed" })),
    started_at: time("When it began to run first"),
    completed_at: time("When it was complete"),
    local_file_path: nullable(
      Type.String({ description: "Once complete: the file, or the folder of many files" }),
    ),
    state: word(STATES, "The same more exactly, as in /v1/downloads"),
  },
  {
    description: "One download as it is now",
    example: {
      download_id: ID,
      repo_id: REPO,
      filename: FILE,
      status: "downloading",
      progress_percent: 45.5,
      bytes_downloaded: 2_000_000_000,
      total_bytes: 4_400_000_000,
      download_speed_mbps: 25.5,
      eta_seconds: 120,
      error_message: null,
      started_at: "2024-01-12T10:00:00Z",
      completed_at: null,
      local_file_path: null,
      state: "downloading",
    },
  },
);

const members = {
  error_code: Type.String({ description: "What went wrong, as one word" }),
  code: Type.String({ description: "The same as error_code" }),
  message: Type.String(),
  details: nullable(open({ field: Type.String({ description: "Member or parameter it speaks of" }) })),
  timestamp: Type.String({ format: "date-time" }),
};

const notFound = {
  error_code: "DOWNLOAD_NOT_FOUND",
  code: "DOWNLOAD_NOT_FOUND",
  message: "Download not found",
  details: null,
  timestamp: "2024-01-12T10:00:00Z",
};

/** A5. */
export const ErrorSchema = open(
  { ...members, detail: open(members, { description: "The same once more" }) },
  { description: "Every error of this family", example: { ...notFound, detail: notFound } },
);
