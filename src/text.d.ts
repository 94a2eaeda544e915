/** Files that `import … with { type: "text" }` puts into the executable as they are. */
declare module "*.md" {
  const text: string;
  export default text;
}
