/** What the monitor knows of the server: the client's types, under the names that the views use. */
import type {
  ChangeRequest,
  DiskFile,
  Download,
  DownloadFile,
  Engine,
  RemoteFile,
  RemoteListing,
  Retry as RetryChange,
  Settings as SettingsChange,
  SourceInfo,
  StartRequest,
  State,
  StorageInfo,
  Verification,
} from "../../src/client/index.ts";

/** A download as lists and live events show it; its files only where it was asked for alone. */
export type DownloadItem = Download;
export type DownloadDetails = Download;
export type FileItem = DownloadFile;
export type ChangeBody = ChangeRequest;
export type StartBody = StartRequest;
export type Retry = Required<RetryChange>;
/** As the server has them: nothing is left out. */
export type Settings = Required<Omit<SettingsChange, "retry">> & { retry: Retry };
export type { RetryChange, SettingsChange };
export type Storage = StorageInfo;
export type EngineItem = Engine;
/** A finished file on disk. */
export type ModelFile = DiskFile;
export type SourceItem = SourceInfo;
export type { RemoteFile, RemoteListing, State, Verification };

/** What of a download may be asked for. */
export type Verb = "pause" | "resume" | "cancel" | "retry";
