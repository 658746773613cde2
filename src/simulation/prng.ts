/**
 * All randomness of a simulation. A generator is named by its path from the seed, and a fork depends on that path alone:
 * a draw more in one place changes nothing in another.
 */
export class Prng {
  readonly #path: string
  readonly #state: Uint32Array

  constructor(path: string) {
    this.#path = path
    this.#state = seedOf(path)
    // sfc32 needs a dozen rounds before its state has nothing of the seed's pattern left.
    for (let i = 0; i < 12; i++) this.uint32()
  }

  /** sfc32 of Chris Doty-Humphrey (PractRand). */
  uint32(): number {
    const [a = 0, b = 0, c = 0, counter = 0] = this.#state
    const result = (a + b + counter) | 0
    this.#state[0] = b ^ (b >>> 9)
    this.#state[1] = c + (c << 3)
    this.#state[2] = ((c << 21) | (c >>> 11)) + result
    this.#state[3] = counter + 1
    return result >>> 0
  }

  /** In [0, 1). */
  fraction(): number {
    return this.uint32() / 2 ** 32
  }

  chance(probability: number): boolean {
    return this.fraction() < probability
  }

  /** In [min, max). */
  between(min: number, max: number): number {
    return min + this.fraction() * (max - min)
  }

  /** From min to max, both included. */
  integer(min: number, max: number): number {
    return min + (this.uint32() % (max - min + 1))
  }

  /** Mostly short, at times long: what delays look like. */
  tail(typical: number, max: number): number {
    return Math.min(max, (-Math.log(1 - this.fraction()) * typical) / Math.LN2)
  }

  pick<T>(choices: readonly T[]): T {
    const choice = choices[this.uint32() % choices.length]
    if (choice === undefined) throw new RangeError('nothing to pick from')
    return choice
  }

  shuffled<T>(items: readonly T[]): T[] {
    const rest = [...items]
    const result: T[] = []
    while (rest.length > 0) result.push(...rest.splice(this.uint32() % rest.length, 1))
    return result
  }

  text(length = 8): string {
    let text = ''
    while (text.length < length) text += this.uint32().toString(36)
    return text.slice(0, length)
  }

  fork(name: string): Prng {
    return new Prng(`${this.#path}/${name}`)
  }
}

/** Four hashes of the text, each by FNV-1a with another start. */
function seedOf(text: string): Uint32Array {
  return Uint32Array.from([0x811c9dc5, 0x9e3779b9, 0x85ebca6b, 0xc2b2ae35], (start) => hashText(start, text))
}

/** FNV-1a over the code units. */
export function hashText(start: number, text: string): number {
  let hash = start
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

export function hashBytes(start: number, bytes: Uint8Array): number {
  let hash = start
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}
