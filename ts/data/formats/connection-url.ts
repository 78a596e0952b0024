import { resolve } from 'node:path';

/** In any case, as pg takes it. */
const SCHEME = /^postgres(?:ql)?:\/\//i;
/** All up to the last "@": a password with such a sign unescaped is no good URL, and still none to be shown. */
const CREDENTIALS = /^(postgres(?:ql)?:\/\/).*@/is;
const PASSWORD_PARAMETER = /([?&]password=)[^&]*/gi;

/** Whether a path is the URL of a PostgreSQL server, or names the environment variable that holds one. */
export function isConnection(path: string): boolean {
  return SCHEME.test(path) || path.startsWith('env:');
}

/** A path as messages may show it: of a connection URL neither user nor password. */
export function shownPath(path: string): string {
  return SCHEME.test(path) ? path.replace(CREDENTIALS, '$1').replace(PASSWORD_PARAMETER, '$1***') : path;
}

/** Whether a path is a connection URL with a password in it. */
export function holdsPassword(path: string): boolean {
  if (!SCHEME.test(path)) return false;
  const [credentials = ''] = CREDENTIALS.exec(path) ?? [];
  return credentials.replace(SCHEME, '').includes(':') || path.search(PASSWORD_PARAMETER) >= 0;
}

/** The absolute form of a path; a connection stays as it is, since as a file it would be shown with its password. */
export function resolveInput(path: string): string {
  return isConnection(path) ? path : resolve(path);
}
