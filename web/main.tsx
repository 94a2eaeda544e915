import "./style/tokens.css";
import "./style/base.css";
import "./style/parts.css";
import "./style/shell.css";
import { render } from "preact";
import { App } from "./shell/app.tsx";
import { keepLook } from "./shell/look.ts";
import { watchEnds } from "./shell/tell-ends.tsx";
import { connect } from "./state/connection.ts";
import { sharePrefs } from "./state/prefs.ts";
import { followRoute } from "./state/route.ts";

sharePrefs();
followRoute();
keepLook();
watchEnds();
connect();
render(<App />, document.getElementById("app") as HTMLElement);
