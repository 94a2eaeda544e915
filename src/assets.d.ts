/** What `import … with { type: "text" }` brings in. */
declare module "*.svg" {
  const text: string;
  export default text;
}
