// Prints what a synth of the example costs beside that of an app with one bucket: seconds and peak memory, median of N runs.
// node test/bench/synth.mjs [runs]
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const runs = Number(process.argv[2] ?? 5);
const work = mkdtempSync(path.join(tmpdir(), 'cdk-mlops-bench-'));

const bucket = path.join(work, 'bucket.ts');
writeFileSync(bucket, `
import { App, Stack } from 'aws-cdk-lib';
import * as s3 from 'aws-cdk-lib/aws-s3';
new s3.Bucket(new Stack(new App(), 'Bucket'), 'Bucket');
`);
const probe = path.join(work, 'probe.cjs');
writeFileSync(probe, 'process.on("exit", () => process.stderr.write("\\nPEAK " + process.resourceUsage().maxRSS + "\\n"));');

function measure(app, cwd) {
  const samples = Array.from({ length: runs + 1 }, (_, i) => {
    const outdir = path.join(work, `out-${i}`);
    const start = process.hrtime.bigint();
    const result = spawnSync(process.execPath, ['--require', probe, '--import', path.join(root, 'node_modules/tsx/dist/loader.mjs'), app], {
      cwd,
      env: { ...process.env, CDK_OUTDIR: outdir, NODE_PATH: path.join(root, 'node_modules') },
      encoding: 'utf8',
    });
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    rmSync(outdir, { recursive: true, force: true });
    if (result.status !== 0) {
      throw new Error(`${app} failed:\n${result.stderr}`);
    }
    return { seconds, mib: Number(/PEAK (\d+)/.exec(result.stderr)[1]) / 1024 };
  }).slice(1); // the first run fills the caches
  const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
  return { seconds: median(samples.map((s) => s.seconds)), mib: median(samples.map((s) => s.mib)) };
}

try {
  const one = measure(bucket, work);
  const example = measure(path.join(root, 'examples/abalone/app.ts'), path.join(root, 'examples/abalone'));
  const line = (name, m) => console.log(`${name.padEnd(18)} ${m.seconds.toFixed(2).padStart(6)} s ${m.mib.toFixed(0).padStart(6)} MiB`);
  line('one bucket', one);
  line('examples/abalone', example);
  console.log(`ratio              ${(example.seconds / one.seconds).toFixed(2).padStart(6)}   ${(example.mib / one.mib).toFixed(2).padStart(6)}`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
