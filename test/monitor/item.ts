import type { DownloadItem } from "../../web/state/types.ts";

let made = 0;

/** A download as the server shows it, queued unless `parts` say otherwise. */
export function download(parts: Partial<DownloadItem> = {}): DownloadItem {
  const id = parts.id ?? `id-${++made}`;
  return {
    id,
    model_id: `model ${id}`,
    state: "queued",
    status: "downloading",
    download_type: "regular",
    type: "regular",
    url: "https://example.org/file.bin",
    local_path: "",
    progress: { downloaded_bytes: 0, total_bytes: 0, percentage: 0, download_speed_bps: 0 },
    timing: { start_time: 1000, elapsed_seconds: 0 },
    attempts: 0,
    speed: 0,
    connections: 0,
    warnings: [],
    priority: 0,
    rate_limit_bps: 0,
    provider: "url",
    repo_id: "",
    filename: "file.bin",
    layout: "flat",
    model_type: "llm",
    files_total: 1,
    files_done: 0,
    ...parts,
  };
}
