/** The table of routes in README.md, as the table in the code says it. */
import { keyOf, RouteDescription, ROUTES } from '../src/api/routes';
import { Shape } from '../src/api/shapes';

const WHO = { anyone: 'anyone', viewer: 'viewers', operator: 'operators', approver: 'approvers' };
const routes: readonly RouteDescription[] = ROUTES;

/** What each route does, for whom, and what goes in and comes out. */
export const README_TABLE = [
  '| route | does | for | body | answer |',
  '|---|---|---|---|---|',
  ...routes.map((route) => {
    const query = Object.keys(route.query ?? {}).join('&');
    const body = route.body ? brief(route.body) : '';
    const { status, body: answer } = route.answer;
    return `| \`${keyOf(route)}${query && `?${query}`}\` | ${route.summary} | ${WHO[route.caller]} | ${body} | ${status} ${brief(answer)} |`;
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
