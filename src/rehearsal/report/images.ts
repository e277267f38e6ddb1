import { RehearsalDocument } from './document';
import { Markup, html } from './html';
import { EmulatorReport, ImageFidelity } from '../emulator/emulator';

const BADGES: Record<ImageFidelity['level'], { readonly kind: string; readonly text: string }> = {
  exact: { kind: 'good', text: 'exact' },
  near: { kind: 'warn', text: 'same library, other versions beside it' },
  other: { kind: 'bad', text: 'another version' },
};

/** One line for each image whose own library has another version here, or of which nothing is known: metrics may differ on AWS. */
export function imageWarnings(emulated: EmulatorReport | undefined): string[] {
  return (emulated?.images ?? []).filter(({ level }) => level === 'other').map(({ image, summary }) => `image ${image}: ${summary}`);
}

/** How close the stand-in of each container image is: its libraries beside those of this machine. */
export function imagesSection({ emulated }: RehearsalDocument): Markup | undefined {
  const images = emulated?.images ?? [];
  return images.length === 0 ? undefined : html`<h2>Image fidelity</h2>
<p class="soft">Containers run as processes of this machine. Where the versions are those of the image, so is the model.</p>
${images.map(imageCard)}`;
}

function imageCard({ image: uri, level, summary, libraries }: ImageFidelity): Markup {
  return html`<div class="card wide"><p><code>${uri}</code> <span class="badge ${BADGES[level].kind}">${BADGES[level].text}</span>${summary && html`<br>${summary}`}</p>
<table><tr><th>library</th><th>in the image</th><th>here</th></tr>${libraries.map(({ name, image: there, here }) => html`<tr>
<td>${name}</td><td>${there ?? 'not known'}</td><td>${here ?? 'not installed'}${there !== null && there !== here && ' ≠'}</td></tr>`)}</table></div>`;
}
