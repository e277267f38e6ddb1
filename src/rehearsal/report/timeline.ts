import { Markup, html } from './html';
import { Span, StepResult } from '../command/steps';
import { seconds } from '../command/text';

const WIDTH = 1000;
const MARKS = { passed: '✓', failed: '✗', skipped: '–' };

/** Every step with its bar on one common scale; the parts of pipelines below theirs. */
export function timeline(steps: readonly StepResult[]): Markup {
  const run = steps.filter(({ status }) => status !== 'skipped');
  const total = Math.max(1, ...run.map(({ end }) => end));
  const skipped = steps.filter(({ status }) => status === 'skipped');
  return html`<div class="card wide"><table class="timeline">${run.map((step) => rows(step, total))}
${skipped.length > 0 && html`<tr class="step skipped"><td class="mark">${MARKS.skipped}</td><td colspan="4">${skippedSteps(skipped)}</td></tr>`}</table></div>`;
}

function rows(step: StepResult, total: number): Markup {
  const { status, title, start, end, summary, details, spans } = step;
  return html`<tr class="step ${status}"><td class="mark">${MARKS[status]}</td><td class="name">${title}</td><td class="number">${seconds(end - start)}</td>
<td class="bar">${bar(start, end, total, status)}</td></tr>
<tr><td></td><td colspan="3" class="more">${summary}${details.filter((detail) => !spans.some(({ name }) => detail.startsWith(name)))
  .map((detail) => html`<br>${detail}`)}</td></tr>${spans.map((span) => part(span, total))}`;
}

function part({ name, start, end, failed }: Span, total: number): Markup {
  return html`<tr class="part"><td></td><td class="name">${name}</td><td class="number">${seconds(end - start)}</td>
<td class="bar">${bar(start, end, total, failed ? 'failed' : 'part')}</td></tr>`;
}

function bar(start: number, end: number, total: number, kind: string): Markup {
  const x = Math.max(0, start) / total * WIDTH;
  const width = Math.max(3, (end - start) / total * WIDTH);
  return html`<svg viewBox="0 0 ${WIDTH} 12" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="${WIDTH}" height="12"/>
<rect class="${kind}" x="${x.toFixed(1)}" width="${width.toFixed(1)}" height="12"/></svg>`;
}

function skippedSteps(steps: readonly StepResult[]): Markup[] {
  const reasons = [...new Set(steps.map(({ summary }) => summary))];
  return reasons.map((why) => html`<div>skipped: ${steps.filter(({ summary }) => summary === why).map(({ title }) => title).join(', ')} (${why})</div>`);
}
