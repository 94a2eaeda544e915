/** What the page asks for by itself or in bulk, beside what is pressed. */
import { lanes } from "../../src/client/lanes.ts";

/**
 * A browser has six connections to a server. One is that of the live stream, or of the next poll, and one that of a list
 * being read; with these three, what is pressed meanwhile still finds one and reaches the server at once.
 */
export const background = lanes(3);
