import { createHash, createHmac } from 'node:crypto';

export interface Signable {
  readonly method: string;
  readonly url: URL;
  readonly body?: string;
  readonly headers: Record<string, string>;
  readonly service: string;
  readonly region: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/** Headers that sign a request with Signature Version 4. */
export function sign(request: Signable, now = new Date()): Record<string, string> {
  const { method, url, body = '', service, region, credentials } = request;
  const time = now.toISOString().replace(/[-:]|\.\d{3}/g, '');
  const date = time.slice(0, 8);
  const payload = sha256(body);
  const own = { 'x-amz-date': time, 'x-amz-content-sha256': payload };
  const headers: Record<string, string> = { ...request.headers, ...own, host: url.host };
  const names = Object.keys(headers).sort();
  const query = [...url.searchParams].map(([name, value]) => `${encode(name)}=${encode(value)}`).sort().join('&');
  const canonical = [
    method, url.pathname.split('/').map(encode).join('/'), query,
    ...names.map((name) => `${name}:${headers[name].trim()}`), '', names.join(';'), payload,
  ].join('\n');
  const scope = `${date}/${region}/${service}/aws4_request`;
  const key = [date, region, service, 'aws4_request'].reduce<Buffer>((secret, part) => hmac(secret, part), Buffer.from(`AWS4${credentials.secretAccessKey}`));
  const signature = hmac(key, ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n')).toString('hex');
  const credential = `${credentials.accessKeyId}/${scope}`;
  return { ...own, authorization: `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names.join(';')}, Signature=${signature}` };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}
