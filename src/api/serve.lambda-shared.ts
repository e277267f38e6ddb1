import { Answer, Handler, HttpError, HttpRequest, invalid, responding, short } from './http.lambda-shared';
import { callerOf, requireRole } from './identity.lambda-shared';
import { HandlerName, keyOf, RouteDescription, RouteKeyOf, ROUTES } from './routes';

/** What answers each route of a handler. */
export type Answers<H extends HandlerName> = { readonly [key in RouteKeyOf<H>]: (request: HttpRequest) => Promise<Answer> };

/**
 * The Lambda handler of these routes. What the table of routes says of one is held before it is asked: who may call, which query
 * parameters there are.
 */
export function serve<H extends HandlerName>(name: H, answers: Answers<H>): Handler {
  const routes: readonly RouteDescription[] = ROUTES.filter(({ handler }) => handler === name);
  return responding(async (request) => {
    const key: unknown = request?.routeKey;
    const route = routes.find((candidate) => keyOf(candidate) === key);
    if (!route) {
      throw new HttpError(404, 'NotFound', `there is no route "${typeof key === 'string' ? key : ''}"`);
    }
    if (route.caller !== 'anyone') {
      // Before anything is looked up: who may not call learns nothing of what there is.
      requireRole(callerOf(request), route.caller);
    }
    refuseUnknownQuery(route, request);
    return answers[key as RouteKeyOf<H>](request);
  });
}

function refuseUnknownQuery({ query = {} }: RouteDescription, request: HttpRequest): void {
  const allowed = Object.keys(query);
  const details = Object.keys(request.queryStringParameters ?? {}).filter((field) => !allowed.includes(field)).slice(0, 20).map((field) => ({
    field: short(field), allowed, message: `${JSON.stringify(short(field))} is not a parameter of this route`,
  }));
  if (details.length > 0) {
    throw invalid(details.map((detail) => detail.message).join('; '), details);
  }
}
