import { isAbsolute, join, relative, resolve } from "node:path";
import { PART_SUFFIX } from "../core/paths.ts";
import { isInside, type TargetPath, targetIn } from "../core/target-path.ts";
import type { Root } from "./roots.ts";

/**
 * The file or folder that a path written by a client names, below the root; undefined when nothing is there or it lies
 * outside, links followed (F124, F198). A relative path starts in the root, else in the working directory, so that
 * `./models/m.gguf` means what it says. Nothing is decoded: a name with `%2e` is just that name.
 */
export async function locate(root: Root, text: string): Promise<TargetPath | undefined> {
  if (text === "" || text.includes("\0")) return undefined;
  const { disk } = root;
  const real = await root.ready();
  const places = isAbsolute(text) ? [text] : [join(root.path, text), resolve(text)];
  for (const place of places) {
    const path = resolve(place);
    // Before the file system is asked: whether something exists elsewhere is nobody's business.
    if (!isInside(path, root.path) && !isInside(path, real)) continue;
    const target = await disk.realpath(path).catch(() => undefined);
    if (target === undefined || target === real || !isInside(target, real)) continue;
    if (target.endsWith(PART_SUFFIX)) continue;
    const info = await disk.stat(target).catch(() => undefined);
    if (info?.isFile() || info?.isDirectory()) return targetIn(root.path, relative(real, target));
  }
  return undefined;
}
