import { newRoutes } from "./family.ts";
import { decode } from "./path.ts";

/** Files of a web page, by path. What it does not know it answers with undefined. */
export interface WebAssets {
  lookup(path: string, request?: Request): Response | undefined | Promise<Response | undefined>;
}

/** Most files a folder of pages may have. */
const MOST_FILES = 10_000;

/**
 * A folder as web assets. The files are listed once, at start, and only those are served: the plug-in's other manner
 * joins whatever comes, decoded `..` included, to the folder (F201).
 */
export function webRootAssets(folder: string): WebAssets {
  const served = serve(folder);
  return {
    lookup: async (path, request) => {
      const { app, paths } = await served;
      const plain = decode(path === "/" ? "/index.html" : path);
      if (plain === undefined || !paths.has(plain) || plain.includes("/.")) return undefined;
      const headers = request?.headers;
      return app.handle(new Request(`http://localhost${plain}`, headers ? { headers } : {}));
    },
  };
}

async function serve(folder: string) {
  const { staticPlugin } = await import("@elysiajs/static");
  const plugin = await staticPlugin({
    assets: folder,
    prefix: "/",
    alwaysStatic: true,
    staticLimit: MOST_FILES,
    indexHTML: false,
    maxAge: 0,
    directive: "no-cache",
    silent: true,
  });
  const app = newRoutes().use(plugin);
  return { app, paths: new Set(app.routes.map(({ path }) => path)) };
}
