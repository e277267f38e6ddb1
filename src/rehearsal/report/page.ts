import { RehearsalDocument } from './document';
import { Markup, html } from './html';

/** The whole report: one file that needs no other. */
export function page(document: RehearsalDocument): Markup {
  return html`<!doctype html><html lang="en"><meta charset="utf-8"><title>Rehearsal</title><pre>${JSON.stringify(document, undefined, 2)}</pre></html>`;
}
