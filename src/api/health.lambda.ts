import { serve } from './http.lambda-shared';

/** Answers anybody, so it tells nothing but that API and handlers are there. */
export const handler = serve({
  'GET /health': async () => ({ status: 200, body: { status: 'ok' } }),
});
