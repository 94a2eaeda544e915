import { Icon, type IconName } from "../parts/icon.tsx";
import { href, route, type View } from "../state/route.ts";

const PLACES: { view: View; label: string; icon: IconName }[] = [
  { view: "downloads", label: "Downloads", icon: "down" },
  { view: "models", label: "Models", icon: "disk" },
  { view: "engines", label: "Engines", icon: "engine" },
  { view: "settings", label: "Settings", icon: "settings" },
];

const ADD = { view: "add", label: "Add", icon: "plus" } as const;

/** At the top of a wide window, at the foot of a narrow one: there twice, seen once. */
export function Nav({ withAdd }: { withAdd?: boolean }) {
  return (
    <nav class="nav" aria-label="Views">
      {(withAdd ? [...PLACES, ADD] : PLACES).map(({ view, label, icon }) => (
        <a key={view} href={href(view)} aria-current={route.value.view === view ? "page" : undefined}>
          <Icon name={icon} />
          {label}
        </a>
      ))}
    </nav>
  );
}
