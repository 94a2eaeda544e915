/** `/embed.js`: defines `<model-download>`, once however often a page loads it. */
import { ModelDownload } from "./element.ts";

if (!customElements.get("model-download")) customElements.define("model-download", ModelDownload);
