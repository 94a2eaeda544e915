import { type AddCommand, clientOf } from "./context.ts";
import { EXIT } from "./exit.ts";
import { percent, size, speed, table, time } from "./format.ts";
import { addOptions, CLIENT_OPTIONS } from "./options.ts";
import type { WireDownload } from "./wire.ts";

export const addList: AddCommand = (program, context) => {
  const command = program
    .command("list")
    .description("show the downloads of a daemon")
    .option("--all", "finished ones of the history too")
    .option("--json", "one JSON object per line");
  addOptions(command, CLIENT_OPTIONS).action(
    context.action(async (options: Record<string, unknown>) => {
      const query: Record<string, string> = options.all === true ? { state: "all" } : {};
      const downloads = await clientOf(context, options).list(query);
      const { terminal } = context;
      if (options.json === true) for (const download of downloads) terminal.out(JSON.stringify(download));
      else if (downloads.length === 0) terminal.out("no downloads");
      else for (const line of [...rows(downloads), ...notes(downloads)]) terminal.out(line);
      return EXIT.done;
    }),
  );
};

function rows(downloads: readonly WireDownload[]): string[] {
  const head = ["STATE", "DONE", "SIZE", "SPEED", "LEFT", "ID"];
  return table(
    head,
    downloads.map((download) => {
      const { downloaded_bytes: done, total_bytes: total } = download.progress;
      const left = download.timing?.estimated_remaining_seconds;
      return [
        download.state,
        percent(done, total) || size(done),
        total > 0 ? size(total) : "",
        download.state === "downloading" ? speed(download.speed ?? 0) : "",
        left === undefined || download.state !== "downloading" ? "" : time(left),
        download.model_id,
      ];
    }),
  );
}

/** What is true of all of them. */
function notes(downloads: readonly WireDownload[]): string[] {
  const isHalted = downloads.some(({ waiting }) => waiting?.reason === "all_paused");
  const how = 'Let them run on the web page, or with PATCH /v1/settings {"paused": false}.';
  return isHalted ? ["", `All downloads are paused by the settings. ${how}`] : [];
}
