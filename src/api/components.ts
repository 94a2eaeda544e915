import type { TSchema } from "@sinclair/typebox";
import { ProgressSchema } from "./abstractcore/present.ts";
import {
  BulkCancelSchema,
  CancelSchema,
  ControlSchema,
  DownloadSchema,
  EngineCreationSchema,
  ErrorSchema,
  FileSchema,
  ListSchema,
  SummarySchema,
} from "./downloads/schemas.ts";
import { EngineViewSchema } from "./engines/schemas.ts";
import * as examples from "./examples.ts";
import {
  CancelledSchema,
  ErrorSchema as LocalErrorSchema,
  RequestSchema,
  ResponseSchema,
  StatusSchema,
} from "./local/schemas.ts";
import { SettingsSchema } from "./settings.ts";
import {
  AnswerSchema,
  ERROR_EXAMPLE,
  QUEUED_EXAMPLE,
  VIEW_EXAMPLE,
  ViewSchema,
  WingmanErrorSchema,
} from "./wingman/schemas.ts";

/** Schemas that routes name by `ref`, defined once in each document. */
const PLAIN: Record<string, TSchema> = {
  BulkCancellation: BulkCancelSchema,
  Cancellation: CancelSchema,
  CommandDone: ControlSchema,
  Download: DownloadSchema,
  DownloadList: ListSchema,
  Summary: SummarySchema,
  Settings: SettingsSchema,
  Engine: EngineViewSchema,
  EngineCreation: EngineCreationSchema,
  Error: ErrorSchema,
  File: FileSchema,
  ModelProgress: ProgressSchema,
  LocalCancellation: CancelledSchema,
  LocalDownloadRequest: RequestSchema,
  LocalDownloadResponse: ResponseSchema,
  LocalDownloadStatus: StatusSchema,
  LocalError: LocalErrorSchema,
  WingmanDownload: AnswerSchema,
  WingmanProgress: ViewSchema,
  WingmanError: WingmanErrorSchema,
};

/** Of components whose schemas carry none of their own. */
const EXAMPLES: Record<string, unknown> = {
  BulkCancellation: examples.BULK_CANCELLATION,
  Cancellation: examples.CANCELLATION,
  CommandDone: examples.COMMAND_DONE,
  Download: examples.DOWNLOAD,
  DownloadList: examples.LIST,
  Summary: examples.SUMMARY,
  Settings: examples.SETTINGS,
  Engine: examples.ENGINE,
  EngineCreation: examples.ENGINE_CREATION,
  Error: examples.ERROR,
  File: examples.FILE,
  ModelProgress: examples.MODEL_PROGRESS,
  WingmanDownload: QUEUED_EXAMPLE,
  WingmanProgress: VIEW_EXAMPLE,
  WingmanError: ERROR_EXAMPLE,
};

/** The same with an example each. */
export const COMPONENTS: Record<string, TSchema> = Object.fromEntries(
  Object.entries(PLAIN).map(([name, schema]) => [
    name,
    name in EXAMPLES ? { ...schema, example: EXAMPLES[name] } : schema,
  ]),
);
