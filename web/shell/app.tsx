import type { ComponentType } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { ConfirmHost } from "../parts/confirm.tsx";
import { ToastHost } from "../parts/toasts.tsx";
import { locked } from "../state/api.ts";
import { route, type View } from "../state/route.ts";
import { DropTarget } from "../views/add/drop.tsx";
import { AddView } from "../views/add/index.tsx";
import { DownloadsView } from "../views/downloads/index.tsx";
import { EnginesView } from "../views/engines/index.tsx";
import { ModelsView } from "../views/models/index.tsx";
import { SettingsView } from "../views/settings/index.tsx";
import { Boundary } from "./boundary.tsx";
import { ConnectionBanner } from "./connection.tsx";
import { CounterStrip } from "./counters.tsx";
import { Header } from "./header.tsx";
import { Login } from "./login.tsx";
import { Nav } from "./nav.tsx";
import { EndsHost } from "./tell-ends.tsx";

const SHOWN: Record<View, ComponentType> = {
  downloads: DownloadsView,
  models: ModelsView,
  engines: EnginesView,
  settings: SettingsView,
  add: AddView,
};

export function App() {
  if (locked.value) return <Login />;
  return (
    <>
      <Header />
      <ConnectionBanner />
      <Content />
      <Nav withAdd />
      <DropTarget />
      <ConfirmHost />
      <ToastHost />
      <EndsHost />
    </>
  );
}

/** The view, in the one element that scrolls. The focus follows to another view, so that Tab goes on inside it. */
function Content() {
  const main = useRef<HTMLElement>(null);
  const { view } = route.value;
  const last = useRef(view);
  useEffect(() => {
    if (last.current === view) return;
    last.current = view;
    main.current?.scrollTo(0, 0);
    if (!main.current?.contains(document.activeElement)) main.current?.focus({ preventScroll: true });
  }, [view]);
  const Shown = SHOWN[view];
  return (
    <main class="view" data-scroller ref={main} tabIndex={-1}>
      {view === "downloads" && <CounterStrip />}
      <Boundary key={view}>
        <Shown />
      </Boundary>
    </main>
  );
}
