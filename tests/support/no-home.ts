/** In place of ts/nn/home.ts in the double world, whose tensors live on the stock backend. */
export function checkHome(): void {
  // Any backend will do.
}

export function checkBackend(): void {
  // Any backend will do.
}
