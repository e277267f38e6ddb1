import { serve } from './serve.lambda-shared';

/** Open to everybody, so it answers only that API and handlers are there. */
export const handler = serve('health', {
  'GET /health': async () => ({ status: 200, body: { status: 'ok' } }),
});
