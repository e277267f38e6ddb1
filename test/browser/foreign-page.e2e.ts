import * as fs from 'fs';
import { createServer, Server } from 'http';
import { AddressInfo } from 'net';
import * as os from 'os';
import * as path from 'path';
import { Browser, chromium, Page } from 'playwright-core';
import { Emulator } from '../../src/rehearsal/emulator/emulator';
import { preparePythonEnvironment } from '../../src/rehearsal/python/python-environment';
import { Processes } from '../../src/rehearsal/system/processes';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((file) => fs.existsSync(file));
const withBrowser = CHROMIUM ? describe : describe.skip;
const FOREIGN = 'page.example';

/** What a page got to see of one request. */
interface Seen {
  readonly status?: number;
  readonly body?: string;
  /** The browser did not let the page read the answer. */
  readonly hidden?: boolean;
}

withBrowser(`a page of somebody else, while a rehearsal runs${CHROMIUM ? '' : ' (Debian\'s package chromium is not installed)'}`, () => {
  const work = fs.mkdtempSync(path.join(os.tmpdir(), 'cdk-mlops-browser-'));
  const processes = new Processes();
  let emulator: Emulator;
  let server: Server;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    const { signal } = new AbortController();
    const environment = await preparePythonEnvironment({ dev: true, env: process.env, processes, signal, progress: () => undefined });
    emulator = await Emulator.start({ environment, processes, env: process.env, work, region: 'us-east-1', accounts: ['000000000000'], signal });
    server = createServer((_, response) => response.setHeader('Content-Type', 'text/html').end('<title>foreign</title>'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    // The name leads to this machine, as it does when somebody rebinds the DNS name of a page.
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', `--host-resolver-rules=MAP ${FOREIGN} 127.0.0.1`] });
    page = await browser.newPage();
    await page.goto(`http://${FOREIGN}:${(server.address() as AddressInfo).port}/`);
  });

  afterAll(async () => {
    await browser?.close();
    server?.close();
    await emulator?.stop();
    processes.kill();
    fs.rmSync(work, { recursive: true, force: true, maxRetries: 5 });
  });

  const send = (url: string, init: RequestInit): Promise<Seen> => page.evaluate(async ([address, options]) => {
    try {
      const answer = await fetch(address as string, options as RequestInit);
      return { status: answer.status, body: await answer.text() };
    } catch {
      return { hidden: true };
    }
  }, [url, init] as const);

  const requestsSeen = async () => (await emulator.notes(0)).filter(({ kind }) => kind === 'refused').map(({ message }) => message);

  test('makes neither a role nor a function with requests that a browser sends without asking', async () => {
    const trust = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' }] });
    const attacks: [string, string, string][] = [
      ['/', 'application/x-www-form-urlencoded', new URLSearchParams({ Action: 'CreateRole', RoleName: 'page', AssumeRolePolicyDocument: trust, Version: '2010-05-08' }).toString()],
      ['/2015-03-31/functions', 'text/plain', JSON.stringify({ FunctionName: 'page', Role: 'arn:aws:iam::000000000000:role/page', Runtime: 'python3.12', Handler: 'index.handler', Code: {} })],
      ['/2015-03-31/functions/page/invocations', 'text/plain', '{}'],
    ];
    for (const [route, type, body] of attacks) {
      expect(await send(`${emulator.endpoint}${route}`, { method: 'POST', headers: { 'Content-Type': type }, body })).toEqual({ hidden: true });
    }
    const seen = await requestsSeen();
    expect(seen.filter((message) => message.startsWith('POST /'))).toHaveLength(attacks.length); // they arrived, and were refused
  });

  test.each(['GET', 'POST', 'PUT', 'DELETE'])('reads and changes nothing with %s, signed with well-known keys', async (method) => {
    const Authorization = 'AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00';
    for (const route of ['/', '/_rehearsal/report', '/_rehearsal/faults', '/_ministack/config', '/_ministack/reset']) {
      expect(await send(`${emulator.endpoint}${route}`, { method })).toEqual({ hidden: true });
      expect(await send(`${emulator.endpoint}${route}`, { method, headers: { Authorization } })).toEqual({ hidden: true });
    }
  });

  test('gets nothing when its own name leads to the emulator', async () => {
    const { port } = new URL(emulator.endpoint);
    for (const route of ['/_rehearsal/health', '/_ministack/health', '/']) {
      const answer = await page.goto(`http://${FOREIGN}:${port}${route}`);
      expect(answer!.status()).toBe(403);
      expect(await answer!.text()).toContain(`${FOREIGN}:${port} is not a name of this rehearsal`);
    }
  });
});
