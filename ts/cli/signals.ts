const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

export interface Interruption {
  /** Aborted by the first signal; its reason is the signal's name. */
  readonly signal: AbortSignal;
  /** 128 + the signal's number once one has come. */
  exitCode(): number | undefined;
  /** Stops listening. */
  dispose(): void;
}

/**
 * SIGINT and SIGTERM: the first asks the work to finish its step and save, the second ends the process at once.
 *
 * @param onFirst told the name of the first signal
 */
export function listenForSignals(onFirst: (name: string) => void): Interruption {
  const controller = new AbortController();
  let code: number | undefined;
  const listeners = Object.entries(SIGNALS).map(([name, exitCode]) => {
    const listener = (): void => {
      if (code !== undefined) process.exit(exitCode);
      code = exitCode;
      onFirst(name);
      controller.abort(name);
    };
    process.on(name, listener);
    return [name, listener] as const;
  });
  return {
    signal: controller.signal,
    exitCode: () => code,
    dispose: () => {
      for (const [name, listener] of listeners) process.off(name, listener);
    },
  };
}
