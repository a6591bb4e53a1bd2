import "@fontsource-variable/hanken-grotesk/wght.css";
import { render } from "lit-html";
import { firstChoice, proposeDropped } from "./adding.ts";
import { getStatus } from "./api.ts";
import { onKey, onPointer } from "./keys.ts";
import { follow, loadModels, loadSongs, watch } from "./library.ts";
import { drawForever } from "./needles.ts";
import { changed, complain, onChange, studio } from "./studio.ts";
import "./style.css";
import "./mixer.css";
import { studioView } from "./views/studio.ts";

function takeDrops(): void {
  const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
  const mark = (on: boolean) => document.body.classList.toggle("dragged-over", on);
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    mark(true);
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) mark(false);
  });
  document.addEventListener("drop", (event) => {
    mark(false);
    if (!hasFiles(event)) return;
    event.preventDefault();
    void proposeDropped(event.dataTransfer!);
  });
}

async function loadOffer(): Promise<void> {
  try {
    studio.status = await getStatus();
    await loadModels();
    firstChoice();
    changed();
  } catch (error) {
    complain(error);
  }
}

onChange(() => {
  render(studioView(), document.querySelector<HTMLElement>("#studio")!);
  document.title = studio.open ? `${studio.open.title} · stemwise studio` : "stemwise studio";
});
window.addEventListener("hashchange", () => void follow());
document.addEventListener("keydown", onKey);
document.addEventListener("pointerdown", onPointer, true);
takeDrops();
watch();
changed();
void loadOffer();
void loadSongs();
void follow();
drawForever();
