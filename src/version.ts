import { version } from "../package.json";

/** Taken from package.json when the executable is built. */
export const VERSION: string = version;
