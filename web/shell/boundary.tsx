import { Component, type ComponentChildren } from "preact";
import { Button } from "../parts/button.tsx";
import { ErrorBox } from "../parts/states.tsx";

/** A view that breaks takes nothing else with it. Give it a key, so that another view begins anew. */
export class Boundary extends Component<{ children: ComponentChildren }, { error?: string }> {
  override state: { error?: string } = {};

  override componentDidCatch(error: unknown): void {
    console.error(error);
    this.setState({ error: error instanceof Error ? error.message : String(error) });
  }

  override render() {
    const { error } = this.state;
    if (error === undefined) return this.props.children;
    return (
      <ErrorBox
        title="This view could not be shown"
        action={<Button onClick={() => location.reload()}>Load the page again</Button>}
      >
        {error}
      </ErrorBox>
    );
  }
}
