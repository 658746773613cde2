/** Thrown when something that the code holds for impossible has happened: the peer stops and reports instead of guessing. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

/** States an invariant. It stays on in production: a peer that is wrong about itself must not go on. */
export function assert(condition: unknown, sentence: string): asserts condition {
  if (!condition) throw new InvariantError(sentence)
}

/** The end of an exhaustive switch: a compile error when a case is missing. */
export function unreachable(value: never): never {
  throw new InvariantError(`unexpected ${JSON.stringify(value)}`)
}
