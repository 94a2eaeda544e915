import { Empty } from "../../parts/states.tsx";

export function ModelsView() {
  return <Empty title="Models" />;
}
