import * as fs from 'fs';

export default function clean(): void {
  fs.rmSync(process.env.CDK_MLOPS_TEST_FOLDER!, { recursive: true, force: true });
}
