import type { Download, DownloadType, Status } from "./download.ts";
import { formatBytes, formatDuration, formatSpeed } from "./format.ts";

export interface DownloadStatistics {
  totalDownloads: number;
  byStatus: Partial<Record<Status, number>>;
  byType: Partial<Record<DownloadType, number>>;
  /** Bytes of all downloads whose size is known. */
  totalBytes: number;
  downloadedBytes: number;
  /** Bytes per second of one download that moves, on average. */
  averageSpeed: number;
  /** 0 to 100. */
  overallProgress: number;
  /** Seconds until those that move are there; 0 when nothing moves. */
  estimatedTimeRemaining: number;
}

/** Totals over downloads, as lists and events show them. */
export function getDownloadStatistics(downloads: Iterable<Download>): DownloadStatistics {
  const stats: DownloadStatistics = {
    totalDownloads: 0,
    byStatus: {},
    byType: {},
    totalBytes: 0,
    downloadedBytes: 0,
    averageSpeed: 0,
    overallProgress: 0,
    estimatedTimeRemaining: 0,
  };
  let moving = 0;
  let speed = 0;
  let remaining = 0;
  for (const { status, download_type, progress } of downloads) {
    const { total_bytes, downloaded_bytes, download_speed_bps } = progress;
    stats.totalDownloads++;
    stats.byStatus[status] = (stats.byStatus[status] ?? 0) + 1;
    stats.byType[download_type] = (stats.byType[download_type] ?? 0) + 1;
    stats.totalBytes += total_bytes;
    // What has no known size would make more than a hundred percent of the others.
    if (total_bytes > 0) stats.downloadedBytes += downloaded_bytes;
    if (status !== "downloading" || download_speed_bps <= 0) continue;
    moving++;
    speed += download_speed_bps;
    remaining += Math.max(0, total_bytes - downloaded_bytes);
  }
  if (moving > 0) stats.averageSpeed = speed / moving;
  if (speed > 0) stats.estimatedTimeRemaining = Math.ceil(remaining / speed);
  if (stats.totalBytes > 0) stats.overallProgress = (stats.downloadedBytes / stats.totalBytes) * 100;
  return stats;
}

/** The statistics as lines to print. */
export function describeStatistics(stats: DownloadStatistics): string[] {
  const counts = (title: string, of: Record<string, number>) => [
    title,
    ...Object.entries(of).map(([word, count]) => `  ${word}: ${count}`),
  ];
  return [
    `Downloads: ${stats.totalDownloads}`,
    `Progress: ${stats.overallProgress.toFixed(1)}%`,
    `Size: ${formatBytes(stats.totalBytes)}`,
    `Downloaded: ${formatBytes(stats.downloadedBytes)}`,
    ...(stats.averageSpeed > 0
      ? [
          `Speed of each: ${formatSpeed(stats.averageSpeed)}`,
          `Time remaining: ${formatDuration(stats.estimatedTimeRemaining)}`,
        ]
      : []),
    ...counts("By status:", stats.byStatus),
    ...counts("By type:", stats.byType),
  ];
}
