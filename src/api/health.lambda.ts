import { serve } from './http.lambda-shared';

/** Open to everybody, so it answers only that API and handlers are there. */
export const handler = serve({
  'GET /health': async () => ({ status: 200, body: { status: 'ok' } }),
});
