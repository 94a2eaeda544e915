import { testDatabase } from "./conformance.ts";
import { open } from "./support.ts";

testDatabase("sqlite", () => open());
