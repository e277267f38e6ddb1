import { ModelDocument, RehearsalDocument } from './document';
import { Markup, html } from './html';
import { confusion, scatter } from './plots';
import { short } from '../command/text';
import { sentence } from '../scenario/training';

/** What the model is worth: metrics of the pipeline beside those of the deployed model, and the plot. */
export function modelSection({ evaluation, gate, predictions, model, endpoint, dataSet }: ModelDocument, modelName?: string): Markup | undefined {
  const measured = metricsIn(evaluation);
  if (measured.length === 0 && !predictions && gate.length === 0) {
    return undefined;
  }
  const scores = predictions?.scores ?? {};
  const names = [...new Set([...measured.map(({ name }) => name), ...Object.keys(scores)])];
  const served = (name: string) => scores[name] === undefined ? '' : short(scores[name]);
  return html`<h2>Model${modelName === undefined ? '' : ` ${modelName}`}</h2><div class="columns"><div>
<div class="card"><table><tr><th>metric on the test split</th><th class="number">evaluated in the pipeline</th><th class="number">served${predictions?.complete ? '' : ' (a part)'}</th></tr>
${names.map((name) => html`<tr><td>${name}</td><td class="number">${number(measured.find((metric) => metric.name === name)?.value)}</td><td class="number">${served(name)}</td></tr>`)}</table></div>
${gate.length > 0 && html`<p>${gate.map((check) => html`<span class="badge ${check.passed ? 'good' : 'bad'}">gate: ${sentence(check)}</span> `)}</p>`}
<div class="card"><table>${fact('Data set', dataSet && `${dataSet.id.slice(0, 16)}…${dataSet.rows === undefined ? '' : `, ${dataSet.rows} rows`}`)}
${fact('Model package', model && `${model.group}, version ${model.version}`)}${fact('Endpoint', endpoint)}
${fact('Rows predicted', predictions?.rows.length)}${fact('One prediction', predictions && `${predictions.latencies.map((ms) => Math.round(ms)).join(', ')} ms`)}</table></div>
</div>${predictions && html`<div class="card">${predictions.problemType === 'regression'
  ? scatter(predictions.rows, predictions.target)
  : html`<p class="soft">${predictions.target}, ${predictions.rows.length} rows</p><div class="wide">${confusion(predictions.rows, predictions.classes)}</div>`}</div>`}</div>`;
}

/** Calls that were refused, grants that were used and those that were not. */
export function accessSection({ emulated }: RehearsalDocument): Markup | undefined {
  if (!emulated) {
    return undefined;
  }
  const { grants: { exercised, unexercised }, denials } = emulated;
  const grantTable = (grants: typeof exercised) => html`<div class="card wide"><table><tr><th>role</th><th>action</th><th>resources</th><th class="number">calls</th></tr>
${[...grants].sort((a, b) => `${a.stack}${a.logicalId}${a.action}`.localeCompare(`${b.stack}${b.logicalId}${b.action}`)).map((grant) => html`<tr>
<td class="text">${grant.logicalId}<br><span class="soft">${grant.stack}</span></td><td><code>${grant.action}</code></td>
<td class="text"><code>${grant.resources.slice(0, 4).join(' ')}${grant.resources.length > 4 ? ' …' : ''}</code></td><td class="number">${grant.count || ''}</td></tr>`)}</table></div>`;
  return html`<h2>Permissions</h2>
<p><span class="badge good">${exercised.length} granted actions used</span> <span class="badge warn">${unexercised.length} not used in this run</span>
<span class="badge ${denials.length > 0 ? 'bad' : 'good'}">${denials.length} ${denials.length === 1 ? 'call' : 'calls'} denied</span></p>
${denials.length > 0 && html`<div class="card wide"><table><tr><th>denied</th><th>on</th><th>to</th></tr>${denials.map(({ action, resource, principal }) => html`<tr>
<td><code>${action}</code></td><td class="text"><code>${resource}</code></td><td class="text"><code>${principal}</code></td></tr>`)}</table></div>`}
${unexercised.length > 0 && html`<details><summary>Granted, but not used in this run</summary>${grantTable(unexercised)}</details>`}
${exercised.length > 0 && html`<details><summary>Granted and used</summary>${grantTable(exercised)}</details>`}`;
}

/** What this machine cannot rehearse, by reason. */
export function notRehearsedSection({ emulated }: RehearsalDocument): Markup | undefined {
  const entries = emulated?.notRehearsed ?? [];
  if (entries.length === 0) {
    return undefined;
  }
  const groups = new Map<string, typeof entries>();
  for (const entry of entries) {
    const key = `${entry.type}|${entry.why}`;
    groups.set(key, [...groups.get(key) ?? [], entry]);
  }
  return html`<h2>Not rehearsed</h2><p class="soft">These deploy here without having their effect: check them on the template, or on AWS.</p>
<div class="card wide"><table><tr><th>what</th><th>why</th><th>where</th></tr>${[...groups.values()].map((group) => html`<tr><td><code>${group[0].type}</code></td>
<td>${group[0].why}</td><td class="text">${group.length > 3
  ? html`<details><summary>${group.length} resources</summary>${group.map(place)}</details>`
  : group.map(place)}</td></tr>`)}</table></div>`;
}

function place({ stack, logicalId }: { stack: string; logicalId: string }): Markup {
  return html`<div>${logicalId} <span class="soft">${stack}</span></div>`;
}

function fact(name: string, value: unknown): Markup | undefined {
  return value === undefined ? undefined : html`<tr><td class="soft">${name}</td><td class="text">${value}</td></tr>`;
}

function number(value: number | undefined): string {
  return value === undefined ? '' : short(value);
}

/** `{"regression_metrics": {"mse": {"value": 4.7}}}` as a list. */
function metricsIn(evaluation: unknown): { name: string; value: number }[] {
  const groups = Object.entries(evaluation ?? {}).filter(([name]) => name.endsWith('_metrics'));
  return groups.flatMap(([, metrics]) => Object.entries(metrics as Record<string, { value?: unknown }>)
    .flatMap(([name, metric]) => typeof metric?.value === 'number' ? [{ name, value: metric.value }] : []));
}
