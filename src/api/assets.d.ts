/** Files that `import … with { type: "file" }` puts into the executable: the value is a path `Bun.file` can read. */
declare module "swagger-ui-dist/swagger-ui.css" {
  const path: string;
  export default path;
}
declare module "swagger-ui-dist/swagger-ui-bundle.js" {
  const path: string;
  export default path;
}
