/** A question that must be answered before anything else. The browser keeps the focus in it and closes it with Escape. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useWords } from "../data/context.ts";

export function Dialog({
  title,
  onClose,
  children,
  wide,
}: {
  title: string;
  onClose(): void;
  children: ComponentChildren;
  wide?: boolean;
}) {
  const element = useRef<HTMLDialogElement>(null);
  const t = useWords();
  useEffect(() => {
    const dialog = element.current;
    if (dialog !== null && !dialog.open) dialog.showModal();
  }, []);
  return (
    <dialog ref={element} class={wide === true ? "wide" : undefined} aria-labelledby="dialog-title" onClose={onClose}>
      <header>
        <h2 id="dialog-title">{title}</h2>
        <button type="button" class="quiet" aria-label={t("do.close")} onClick={() => element.current?.close()}>
          ✕
        </button>
      </header>
      {children}
    </dialog>
  );
}

/** Asks for a word of comment and a yes. */
export function Confirm(props: {
  title: string;
  text?: string;
  action: string;
  tone?: "bad";
  onDone(): void;
  onYes(): Promise<boolean>;
  children?: ComponentChildren;
}) {
  const t = useWords();
  const busy = useRef(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy.current) return;
    busy.current = true;
    const isDone = await props.onYes();
    busy.current = false;
    if (isDone) props.onDone();
  };
  return (
    <Dialog title={props.title} onClose={props.onDone}>
      <form onSubmit={submit}>
        {props.text !== undefined && <p>{props.text}</p>}
        {props.children}
        <footer>
          <button type="button" onClick={props.onDone}>
            {t("do.cancel")}
          </button>
          <button type="submit" class={props.tone === "bad" ? "danger" : "primary"}>
            {props.action}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
