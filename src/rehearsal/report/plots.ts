import { Markup, html } from './html';
import { PredictedRow } from '../scenario/scores';

const SIZE = 420;
const LEFT = 44;
const BOTTOM = 40;
const TOP = 10;

/** PredictionResult against true values, on one scale, with the line where both are equal. */
export function scatter(rows: readonly PredictedRow[], target: string): Markup {
  const points = rows.map(({ truth, predicted }) => [Number(truth), Number(predicted)] as const).filter((point) => point.every(Number.isFinite));
  const values = points.flat();
  const ticks = niceTicks(values.reduce((a, b) => Math.min(a, b), Infinity), values.reduce((a, b) => Math.max(a, b), -Infinity));
  const [low, high] = [ticks[0], ticks[ticks.length - 1]];
  const span = high - low || 1;
  const x = (value: number) => (LEFT + (value - low) / span * (SIZE - LEFT - TOP)).toFixed(1);
  const y = (value: number) => (SIZE - BOTTOM - (value - low) / span * (SIZE - BOTTOM - TOP)).toFixed(1);
  return html`<svg class="plot" viewBox="0 0 ${SIZE} ${SIZE}" role="img" aria-label="predicted against true ${target}">
${ticks.map((tick) => html`<line class="grid" x1="${x(tick)}" x2="${x(tick)}" y1="${y(low)}" y2="${y(high)}"/><line class="grid" x1="${x(low)}" x2="${x(high)}" y1="${y(tick)}" y2="${y(tick)}"/>
<text x="${x(tick)}" y="${SIZE - BOTTOM + 17}" text-anchor="middle">${tick}</text><text x="${LEFT - 8}" y="${y(tick)}" dy="4" text-anchor="end">${tick}</text>`)}
<line class="ideal" x1="${x(low)}" y1="${y(low)}" x2="${x(high)}" y2="${y(high)}"/>
${points.map(([truth, predicted]) => html`<circle cx="${x(truth)}" cy="${y(predicted)}" r="3.5"/>`)}
<text x="${(SIZE + LEFT) / 2}" y="${SIZE - 5}" text-anchor="middle">true ${target}</text>
<text transform="translate(11 ${(SIZE - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">predicted ${target}</text></svg>`;
}

/** Four to nine round numbers that enclose the range. */
export function niceTicks(low: number, high: number): number[] {
  if (!Number.isFinite(low) || !Number.isFinite(high)) {
    return [0, 1];
  }
  const raw = (high - low || Math.abs(high) || 1) / 6;
  const magnitude = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * magnitude).find((candidate) => candidate >= raw)!;
  const first = Math.floor(low / step);
  const last = Math.max(first + 1, Math.ceil(high / step));
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** How often each class was taken for which. */
export function confusion(rows: readonly PredictedRow[], classes: readonly string[]): Markup {
  const count = (truth: string, predicted: string) => rows.filter((row) => row.truth === truth && row.predicted === predicted).length;
  const cell = (truth: string, predicted: string) => {
    const found = count(truth, predicted);
    const share = found / Math.max(1, rows.filter((row) => row.truth === truth).length);
    const colour = truth === predicted ? 'var(--good)' : 'var(--bad)';
    return html`<td style="background: color-mix(in srgb, ${colour} ${Math.round(share * 45)}%, transparent)">${found}</td>`;
  };
  return html`<table class="confusion"><tr><th>true \\ predicted</th>${classes.map((name) => html`<th>${name}</th>`)}</tr>
${classes.map((truth) => html`<tr><th>${truth}</th>${classes.map((predicted) => cell(truth, predicted))}</tr>`)}</table>`;
}
