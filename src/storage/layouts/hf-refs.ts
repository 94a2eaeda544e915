import { PART_SUFFIX, type RepoPath } from "../../core/paths.ts";
import { parentOf, type TargetPath, targetIn } from "../../core/target-path.ts";
import type { Directories } from "../directories.ts";
import { ifThere, onDisk } from "../errors.ts";
import { shortId } from "../names.ts";

/**
 * `refs/{revision}` holds the commit and nothing else: Python reads it raw, so a line end would break it
 * (protocols/huggingface.md §7 rule 2). Written aside and renamed; the file aside is not in `refs/`, where it would be one.
 */
export async function writeRef(
  directories: Directories,
  folder: TargetPath,
  revision: RepoPath,
  commit: string,
  downloadId: string,
): Promise<void> {
  const { disk } = directories;
  const path = targetIn(folder, "refs", revision);
  await directories.ensure(parentOf(path));
  await onDisk("write", path, async () => {
    if ((await ifThere(disk.readFile(path, "utf8"))) === commit) return;
    const aside = targetIn(folder, `.ref.${shortId(downloadId)}${PART_SUFFIX}`);
    // Of a crash, or planted there by somebody: what is new is made anew and follows no link (F198).
    await ifThere(disk.unlink(aside));
    await disk.writeFile(aside, commit, { flag: "wx", flush: true });
    await disk.rename(aside, path);
  });
  await directories.sync(parentOf(path));
}
