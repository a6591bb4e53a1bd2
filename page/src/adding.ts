/** From files that a person drops or chooses to songs in the queue. */
import * as api from "./api.ts";
import { takeAnswer } from "./library.ts";
import { announce, type Candidate, changed, complain, studio, type Upload } from "./studio.ts";

const MUSIC = /\.(wav|flac|mp3|m4a|aac|ogg|oga|opus|wma|aiff?|caf|mp4|mkv|mov|webm|mka)$/i;
const REMEMBERED = "stemwise.choice";

/** The file's duration as the browser reads it; null where it does not know the format. */
function durationOf(file: File): Promise<number | null> {
  return new Promise((resolve) => {
    const sound = new Audio();
    const done = (duration: number | null) => {
      URL.revokeObjectURL(sound.src);
      resolve(duration);
    };
    sound.preload = "metadata";
    sound.onloadedmetadata = () => done(Number.isFinite(sound.duration) ? sound.duration : null);
    sound.onerror = () => done(null);
    sound.src = URL.createObjectURL(file);
  });
}

/** Puts files up for separation; those of a folder only where they look like music. */
export function propose(files: File[], isFolder: boolean): void {
  const chosen = isFolder ? files.filter((file) => MUSIC.test(file.name)) : files;
  studio.leftOut += files.length - chosen.length;
  for (const file of chosen) {
    const candidate: Candidate = { file, duration_s: null };
    studio.candidates.push(candidate);
    void durationOf(file).then((duration_s) => {
      candidate.duration_s = duration_s;
      changed();
    });
  }
  location.hash = "";
  changed();
}

async function filesIn(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) return [await new Promise<File>((good, bad) => (entry as FileSystemFileEntry).file(good, bad))];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const files: File[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((good, bad) => reader.readEntries(good, bad));
    if (!some.length) return files;
    for (const inner of some) files.push(...(await filesIn(inner)));
  }
}

/** Takes what was dropped: files, and folders with all that is in them. */
export async function proposeDropped(transfer: DataTransfer): Promise<void> {
  // The list empties itself as soon as this function waits.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  try {
    for (const entry of entries) propose(await filesIn(entry), entry.isDirectory);
  } catch (error) {
    complain(error);
  }
}

export function setChoice(choice: api.Choice): void {
  studio.choice = choice;
  localStorage.setItem(REMEMBERED, JSON.stringify(choice));
  changed();
}

/** The choice of last time where it still can be made, else the first model. */
export function firstChoice(): void {
  let choice: Partial<api.Choice> = {};
  try {
    choice = JSON.parse(localStorage.getItem(REMEMBERED) ?? "{}") as Partial<api.Choice>;
  } catch {
    // not ours
  }
  const model = studio.models.find(({ name }) => name === choice.model) ?? studio.models[0];
  if (!model) return;
  const two_stems = model.two_stems.includes(choice.two_stems ?? "") ? choice.two_stems! : null;
  studio.choice = { model: model.name, two_stems };
}

/** Seconds that songs of these durations will take; null where nobody can know yet. */
export function expected({ speed, per_song_s }: api.Model, durations: readonly number[]): number | null {
  if (!speed || per_song_s === null) return null;
  return durations.reduce((sum, duration_s) => sum + per_song_s + duration_s / speed, 0);
}

export function forget(candidate: Candidate): void {
  studio.candidates = studio.candidates.filter((other) => other !== candidate);
  changed();
}

function tooLarge(file: File): string | null {
  const limit = studio.status?.limits.bytes;
  if (!limit || file.size <= limit) return null;
  return `The file is larger than this studio takes (${(limit / 1e9).toFixed(1)} GB).`;
}

/** Sends the candidates, one after the other; a single one is opened as soon as the server has it. */
export async function separate(): Promise<void> {
  const uploads = studio.candidates.map(
    ({ file }): Upload => ({ file, choice: studio.choice, stop: new AbortController(), sent: null, isHeldBack: false, error: null }),
  );
  studio.candidates = [];
  studio.leftOut = 0;
  studio.uploads.push(...uploads);
  changed();
  for (const upload of uploads) {
    const song = await send(upload);
    if (song && uploads.length === 1 && !studio.openId) location.hash = `#/song/${song.id}`;
  }
}

const FULL = 429;
const AGAIN_MS = 5000;

async function send(upload: Upload): Promise<api.Song | null> {
  upload.error = tooLarge(upload.file);
  if (upload.error || upload.stop.signal.aborted) return null;
  upload.isHeldBack = false;
  const moved = (share: number) => {
    upload.sent = share;
    changed();
  };
  moved(0);
  try {
    const song = await takeAnswer(api.upload(upload.file, upload.choice, moved, upload.stop.signal));
    dismiss(upload);
    return song;
  } catch (error) {
    if (upload.stop.signal.aborted) return null;
    if (error instanceof api.RequestError && error.status === FULL) {
      upload.isHeldBack = true;
      changed();
      await new Promise((resolve) => window.setTimeout(resolve, AGAIN_MS));
      return send(upload);
    }
    upload.error = (error as Error).message;
    announce(`${upload.file.name}: ${upload.error}`);
    changed();
    return null;
  }
}

/** Stops a file that is on its way, and takes it off the list. */
export function dismiss(upload: Upload): void {
  studio.uploads = studio.uploads.filter((other) => other !== upload);
  upload.stop.abort();
  changed();
}

export async function separatePath(path: string): Promise<void> {
  try {
    await takeAnswer(api.addFromPath(path, studio.choice));
  } catch (error) {
    complain(error);
  }
}
