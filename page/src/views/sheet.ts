import { html, type TemplateResult } from "lit-html";
import * as icons from "./icons.ts";

/** Opens the sheet with that id, over the page. */
export function open(id: string): void {
  document.querySelector<HTMLDialogElement>(`#${id}`)!.showModal();
}

export function sheet(id: string, title: string, inside: unknown): TemplateResult {
  const close = (event: Event) => (event.currentTarget as HTMLElement).closest("dialog")!.close();
  const outside = (event: MouseEvent) => event.target === event.currentTarget && close(event);
  return html`<dialog id=${id} aria-labelledby="${id}-title" @click=${outside}>
    <div class="sheet">
      <header>
        <h2 id="${id}-title">${title}</h2>
        <button class="quiet" aria-label="Close" @click=${close}>${icons.cross}</button>
      </header>
      ${inside}
    </div>
  </dialog>`;
}
