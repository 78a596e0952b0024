/**
 * Loads a package that users may leave out.
 *
 * @param name the package's name, as `load` imports it
 * @param load the import, written out at the caller so that its types are known
 * @returns the module, or undefined when just this package is not installed
 * @throws whatever the package itself throws while loading
 */
export async function importOptional<T>(name: string, load: () => Promise<T>): Promise<T | undefined> {
  try {
    return await load();
  } catch (error) {
    if (isMissing(error, name)) return undefined;
    throw error;
  }
}

/** Whether Node failed to find `name` itself, not something `name` needs. */
function isMissing(error: unknown, name: string): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    error.code === 'ERR_MODULE_NOT_FOUND' &&
    error.message.includes(`Cannot find package '${name}'`)
  );
}
