import { NamedModelDocument, RehearsalDocument } from './document';
import { Markup, html } from './html';
import { imagesSection } from './images';
import { accessSection, modelSection, notRehearsedSection } from './sections';
import { STYLE } from './style';
import { timeline } from './timeline';
import { ExitCode } from '../command/errors';
import { seconds, short } from '../command/text';
import { sentence } from '../scenario/training';

/** The whole report: one file that needs no other. */
export function page(document: RehearsalDocument): Markup {
  const { app, data, began, tool, steps } = document;
  const models = modelsIn(document);
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${document.passed ? 'Rehearsal passed' : 'Rehearsal failed'}: ${app}</title><style>${STYLE}</style></head><body><main>
<header><h1>Rehearsal of ${app}</h1><p>${data && html`${data} · `}${began.replace('T', ' ').slice(0, 16)} UTC</p></header>
${verdict(document)}
<div class="tiles">${tiles(document)}</div>
<h2>What happened</h2>${timeline(steps)}
${models.map((model) => modelSection(model, document.models && model.name))}
${imagesSection(document)}
${accessSection(document)}
${notRehearsedSection(document)}
<footer>cdk-mlops ${tool.version} · Node ${tool.node} · ${tool.platform} · deployed to an emulator on this machine, not to AWS</footer>
</main></body></html>
`;
}

function verdict({ passed, failure, exitCode, steps }: RehearsalDocument): Markup {
  if (passed) {
    return html`<div class="verdict good"><strong>✓ Everything worked</strong></div>`;
  }
  const title = steps.find(({ status }) => status === 'failed')?.title ?? 'the rehearsal';
  const titles: Record<number, string> = {
    [ExitCode.GATE_REJECTED]: 'The gate rejected the model',
    [ExitCode.DATA_QUARANTINED]: 'The data are in quarantine',
  };
  return html`<div class="verdict bad"><strong>✗ ${titles[exitCode] ?? `Failed: ${title}`}</strong><span>${failure?.message}</span></div>
${failure && failure.log.length > 0 && html`<pre>${failure.log.join('\n')}</pre>`}${failure?.file && html`<p class="soft">More in ${failure.file}</p>`}`;
}

/** The models of the document, however many there are. */
function modelsIn(document: RehearsalDocument): readonly NamedModelDocument[] {
  return document.models ?? [{ ...document, name: '' }];
}

function tiles(document: RehearsalDocument): (Markup | undefined)[] {
  const { steps, milliseconds, emulated } = document;
  const from = steps.find(({ id, status }) => id === 'deploy' && status === 'passed');
  const to = steps.filter(({ id, status }) => id === 'predictions' && status === 'passed').at(-1);
  const grants = emulated?.grants;
  return [
    tile(seconds(milliseconds), 'the whole rehearsal'),
    from && to && tile(seconds(to.end - from.start), 'from deploy to live predictions'),
    ...modelsIn(document).flatMap(({ predictions, gate, model }) => {
      const [name, value] = Object.entries(predictions?.scores ?? {})[0] ?? [];
      return [
        predictions && name !== undefined ? tile(`${name} ${short(value)}`, `${predictions.rows.length} held-out rows, live`) : undefined,
        gate.length > 0 ? tile(sentence(gate[0]), gate[0].passed ? 'gate passed' : 'gate rejected') : undefined,
        model && tile(`version ${model.version}`, model.group),
      ];
    }),
    grants && tile(`${grants.exercised.length} of ${grants.exercised.length + grants.unexercised.length}`, 'granted actions used'),
  ];
}

function tile(value: string, label: string): Markup {
  return html`<div class="tile"><b>${value}</b><span>${label}</span></div>`;
}
