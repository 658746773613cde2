import type { Operation } from './history.js'

/** An operation that is being recorded: until it has returned, its outcome is unknown. */
export interface Recorded {
  returned(output: unknown, at: number): void
  /** It cannot have taken effect before this moment. */
  notBefore(at: number): void
  /** It surely has no effect, and told nothing: it is no evidence. */
  dropped(): void
}

/** Writes down operations as they are called and return. */
export class Recorder {
  readonly #operations = new Set<Operation>()

  get history(): Operation[] {
    return [...this.#operations]
  }

  call(called: Pick<Operation, 'client' | 'op' | 'key' | 'input' | 'call'>): Recorded {
    const operation = { ...called, output: null as unknown, return: null as number | null }
    this.#operations.add(operation)
    return {
      returned: (output, at) => Object.assign(operation, { output, return: Math.max(at, operation.call) }),
      notBefore: (at) => Object.assign(operation, { call: Math.max(at, operation.call) }),
      dropped: () => this.#operations.delete(operation),
    }
  }
}
