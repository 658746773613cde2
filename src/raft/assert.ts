/** Thrown when something that the core holds for impossible has happened: the peer stops instead of guessing. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

/** States an invariant; it stays on in production. */
export function assert(condition: unknown, sentence: string): asserts condition {
  if (!condition) throw new InvariantError(sentence)
}
