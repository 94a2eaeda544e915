import { signal } from "@preact/signals";
import { bytes, number } from "../../parts/format.ts";
import { loadEngines, loadModels, loadStorage, tell } from "../../state/actions.ts";
import { server } from "../../state/api.ts";
import { confirm, toast } from "../../state/notices.ts";
import { engines } from "../../state/store.ts";
import type { Model } from "./groups.ts";

const removing = signal<ReadonlySet<string>>(new Set());

export const isRemoving = ({ id }: Model): boolean => removing.value.has(id);

/** Deletes all files of a model from disk; asks first. */
export async function removeModel(model: Model): Promise<void> {
  const { id, name, files, size } = model;
  const what = files.length === 1 ? "The file goes" : `All ${number(files.length)} files go`;
  const isSure = await confirm({
    title: `Delete ${name}?`,
    text: [`${what} from disk: ${bytes(size)}.`, ...(await warnings(model))].join(" "),
    yes: "Delete from disk",
    no: "Keep it",
    danger: true,
  });
  if (!isSure || removing.peek().has(id)) return;
  removing.value = new Set(removing.peek()).add(id);
  try {
    for (const file of files) await server.files.remove(file.id);
    toast(`${name} deleted`);
  } catch (error) {
    tell(error);
  } finally {
    removing.value = new Set([...removing.peek()].filter((other) => other !== id));
    await Promise.all([loadModels(), loadStorage()]).catch(tell);
  }
}

/** Engines that are made of it. */
async function warnings({ files, path }: Model): Promise<string[]> {
  await loadEngines().catch(() => {});
  const paths = new Set([path, ...files.map(({ local_path }) => local_path)]);
  const made = (engines.peek() ?? []).filter(({ model_path }) => paths.has(model_path));
  const names = made.map(({ engine_id }) => engine_id).join(", ");
  return made.length === 0 ? [] : [`In use by ${made.length === 1 ? "engine" : "engines"} ${names}.`];
}
