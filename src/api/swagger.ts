import cssPath from "swagger-ui-dist/swagger-ui.css" with { type: "file" };
import bundlePath from "swagger-ui-dist/swagger-ui-bundle.js" with { type: "file" };
import { Problem } from "./problem.ts";

export const SWAGGER_PATH = "/swagger";

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>modelhaul API</title>
<link rel="stylesheet" href="${SWAGGER_PATH}/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="${SWAGGER_PATH}/swagger-ui-bundle.js"></script>
<script src="${SWAGGER_PATH}/start.js"></script>
</body>
</html>
`;

const START = `SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  validatorUrl: null,
  deepLinking: true,
});
`;

/** Swagger UI draws its icons from data: URLs of its own style sheet; scripts and styles come from here only. */
const CSP =
  "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

const ASSETS: Record<string, () => Response> = {
  "swagger-ui.css": () => asset(Bun.file(cssPath), "text/css; charset=utf-8"),
  "swagger-ui-bundle.js": () => asset(Bun.file(bundlePath), "text/javascript; charset=utf-8"),
  "start.js": () => asset(START, "text/javascript; charset=utf-8"),
};

/** The page; everything it loads is inside the executable. */
export function swaggerPage(): Response {
  return new Response(PAGE, {
    headers: { "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": CSP },
  });
}

export function swaggerAsset(name: string): Response {
  const make = Object.hasOwn(ASSETS, name) ? ASSETS[name] : undefined;
  if (!make) throw new Problem("invalid_endpoint", "There is nothing at this path");
  return make();
}

function asset(body: string | Blob, type: string): Response {
  return new Response(body, { headers: { "Content-Type": type, "Cache-Control": "private, max-age=3600" } });
}
