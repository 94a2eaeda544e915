import { testDatabase } from "./conformance.ts";
import { cleanUpAfterEach, open } from "./support.ts";

cleanUpAfterEach();

testDatabase("sqlite", () => open());
