import { Empty } from "../../parts/states.tsx";

export function EnginesView() {
  return <Empty title="Engines" />;
}
