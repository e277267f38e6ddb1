import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import { ClientOptions } from '../emulator/aws-clients';

export interface SignableRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** The headers of a request together with those that sign it, with Signature Version 4, for `fetch`. */
export async function signedHeaders(
  { method, url, headers, body }: SignableRequest, service: string, { region, credentials }: Omit<ClientOptions, 'endpoint'>, signingDate = new Date(),
): Promise<Record<string, string>> {
  const signer = new SignatureV4({ service, region, credentials, sha256: Sha256 });
  const signed = await signer.sign({
    method,
    protocol: url.protocol,
    hostname: url.hostname,
    path: url.pathname,
    query: Object.fromEntries(url.searchParams),
    headers: { ...headers, host: url.host },
    body,
  }, { signingDate });
  return signed.headers;
}
