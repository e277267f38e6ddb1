import * as fs from 'node:fs';
import * as path from 'node:path';
import { RehearsalDocument } from './document';
import { page } from './page';
import { UsageError } from '../command/errors';
import { isFile, isFolder } from '../system/files';

/** First line of each log that is kept; by it a later run knows what it may replace. */
export const LOG_HEADER = '===== what happened in a rehearsal by cdk-mlops =====';
const REPORT_MARK = '<footer>cdk-mlops ';

/** Verifies before any work that the report can be written; removes what an earlier run wrote. */
export function prepareReport(report: string): void {
  const folder = path.dirname(report);
  if (!isFolder(folder)) {
    throw new UsageError(`--report ${report}: the folder ${folder} does not exist`);
  }
  try {
    fs.rmSync(fs.mkdtempSync(path.join(folder, '.cdk-mlops-')), { recursive: true });
  } catch (error) {
    throw new UsageError(`--report ${report}: the folder ${folder} cannot be written (${(error as NodeJS.ErrnoException).code}); name a file in another one`);
  }
  if (fs.existsSync(report)) {
    if (!isFile(report) || !fs.readFileSync(report, 'utf8').includes(REPORT_MARK)) {
      throw new UsageError(`--report ${report} exists and is not the report of a rehearsal; name another file`);
    }
    fs.rmSync(report);
  }
  fs.rmSync(logBeside(report), { force: true });
}

/** Where the logs are kept: beside the report, under a name that is free or that of an earlier run's log. */
export function logBeside(report: string): string {
  const base = report.replace(/(\.html?)?$/, '');
  for (let number = 1; ; number++) {
    const file = number === 1 ? `${base}.log` : `${base}-${number}.log`;
    if (!fs.existsSync(file) || (isFile(file) && fs.readFileSync(file, 'utf8').startsWith(LOG_HEADER))) {
      return file;
    }
  }
}

/** Writes the report whole or not at all. */
export function writeReport(file: string, document: RehearsalDocument): void {
  const part = `${file}.${process.pid}.part`;
  fs.writeFileSync(part, page(document).toString());
  fs.renameSync(part, file);
}
