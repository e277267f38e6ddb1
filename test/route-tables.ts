/** The tables of routes in the documentation, as the table in the code says them. */
import { keyOf, RouteDescription, ROUTES } from '../src/api/routes';
import { Shape } from '../src/api/shapes';

const WHO = { anyone: 'anyone', caller: 'who is signed in', approver: 'approvers' };
const routes: readonly RouteDescription[] = ROUTES;

/** That of README.md: what each route does. */
export const README_TABLE = [
  '| route | does | for |',
  '|---|---|---|',
  ...routes.map((route) => `| \`${keyOf(route)}\` | ${route.summary} | ${WHO[route.caller]} |`),
].join('\n');

/** That of the doc comment of `MlopsApi`: what goes in and comes out. */
export const CLASS_TABLE = [
  '| route | body | answer |',
  '|---|---|---|',
  ...routes.map((route) => {
    const query = Object.keys(route.query ?? {}).join('&');
    const body = route.body ? brief(route.body) : '';
    return `| \`${keyOf(route)}${query && `?${query}`}\` | ${body} | ${route.answer.status} ${brief(route.answer.body)} |`;
  }),
].join('\n');

/** `{"dataset"?, "parameters"?}`: the fields, with a mark on those that may be missing. */
function brief(shape: Shape): string {
  if (shape.anyOf) {
    return shape.anyOf.map(brief).join(' or ');
  }
  const fields = Object.keys(shape.properties ?? {}).map((name) => `"${name}"${shape.required?.includes(name) ? '' : '?'}`);
  return fields.length > 8 ? `\`{${fields.slice(0, 4).join(', ')}, …}\`` : fields.length > 0 ? `\`{${fields.join(', ')}}\`` : shape.description ?? '';
}
