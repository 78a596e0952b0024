import { resolve } from 'node:path';

/** In any case, as pg takes it. */
const SCHEME = /^postgres(?:ql)?:\/\//i;
/** All up to the last "@": a password with such a sign unescaped is no good URL, and still none to be shown. */
const CREDENTIALS = /^(postgres(?:ql)?:\/\/).*@/is;
/** An address with settings behind its database; whatever else has a "?" may be a password with that sign unescaped. */
const WITH_SETTINGS =
  /^(postgres(?:ql)?:\/\/(?:[^/?#]*@)?(?:\[[\da-f:.]*\]|[^/?#@:]*)(?::\d+)?\/[^/?#@:]*)(\?[a-z_]+=[^&]*(?:&[a-z_]+=[^&]*)*)$/is;
const PASSWORD_PARAMETER = /([?&]password=)[^&]*/gi;

/** Whether a path is the URL of a PostgreSQL server, or names the environment variable that holds one. */
export function isConnection(path: string): boolean {
  return SCHEME.test(path) || path.startsWith('env:');
}

/** A path as messages may show it: of a connection URL neither user nor password. */
export function shownPath(path: string): string {
  if (!SCHEME.test(path)) return path;
  const { address, settings } = splitSettings(path);
  return (address.replace(CREDENTIALS, '$1') + settings).replace(PASSWORD_PARAMETER, '$1***');
}

/** Whether a path is a connection URL with a password in it. */
export function holdsPassword(path: string): boolean {
  if (!SCHEME.test(path)) return false;
  const [credentials = ''] = CREDENTIALS.exec(splitSettings(path).address) ?? [];
  return credentials.replace(SCHEME, '').includes(':') || path.search(PASSWORD_PARAMETER) >= 0;
}

/** An "@" in the settings, as in `?application_name=a@b`, ends no credentials. */
function splitSettings(url: string): { readonly address: string; readonly settings: string } {
  const [, address = url, settings = ''] = WITH_SETTINGS.exec(url) ?? [];
  return { address, settings };
}

/** The absolute form of a path; a connection stays as it is, since as a file it would be shown with its password. */
export function resolveInput(path: string): string {
  return isConnection(path) ? path : resolve(path);
}
