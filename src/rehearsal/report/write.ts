import * as fs from 'node:fs';
import { RehearsalDocument } from './document';
import { page } from './page';

/** Writes the report whole or not at all. */
export function writeReport(file: string, document: RehearsalDocument): void {
  const part = `${file}.${process.pid}.part`;
  fs.writeFileSync(part, page(document).toString());
  fs.renameSync(part, file);
}
