import { question } from "../state/notices.ts";
import { Button } from "./button.tsx";
import { Dialog } from "./dialog.tsx";

/** Shows what `confirm()` of state/notices.ts asks. Once on the page. */
export function ConfirmHost() {
  const asked = question.value;
  if (!asked) return null;
  const { title, text, yes, no = "Cancel", danger, answer } = asked;
  return (
    <Dialog
      title={title}
      role="alertdialog"
      onClose={() => answer(false)}
      footer={
        <>
          <Button onClick={() => answer(false)}>{no}</Button>
          <Button kind={danger ? "danger" : "primary"} onClick={() => answer(true)}>
            {yes}
          </Button>
        </>
      }
    >
      <p>{text}</p>
    </Dialog>
  );
}
