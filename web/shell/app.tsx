import type { ComponentType } from "preact";
import { ConfirmHost } from "../parts/confirm.tsx";
import { ToastHost } from "../parts/toasts.tsx";
import { locked } from "../state/api.ts";
import { route, type View } from "../state/route.ts";
import { AddView } from "../views/add/index.tsx";
import { DownloadsView } from "../views/downloads/index.tsx";
import { EnginesView } from "../views/engines/index.tsx";
import { ModelsView } from "../views/models/index.tsx";
import { SettingsView } from "../views/settings/index.tsx";
import { Header } from "./header.tsx";
import { Login } from "./login.tsx";
import { Nav } from "./nav.tsx";

const SHOWN: Record<View, ComponentType> = {
  downloads: DownloadsView,
  models: ModelsView,
  engines: EnginesView,
  settings: SettingsView,
  add: AddView,
};

export function App() {
  if (locked.value) return <Login />;
  const Shown = SHOWN[route.value.view];
  return (
    <>
      <Header />
      <Nav />
      <main class="view" data-scroller tabIndex={-1}>
        <Shown />
      </main>
      <ConfirmHost />
      <ToastHost />
    </>
  );
}
