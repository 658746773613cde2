/** Fencing for what is not in the room: a database, a server, a device. It touches no browser API. */
import { StaleFenceError } from './errors.js'

/** What a writer shows: its `Lock`, or what became of it on the way: name, token, and the room if there are several. */
export interface FenceClaim {
  readonly name: string
  /** `lock.token`: a safe integer above 0. */
  readonly token: number
  /** Tokens compare within one room (and group) only. Default: '', for a resource that serves one room. */
  readonly room?: string
}

/** What a fence remembers, as plain data: it survives JSON and structured clone. */
export interface FenceState {
  readonly version: 1
  readonly rooms: readonly {
    readonly room: string
    /** Names that are not listed have had no token above this one: it is the newest that was forgotten. */
    readonly floor: number
    /** Each name with the newest token that was let in. */
    readonly tokens: readonly (readonly [name: string, token: number])[]
  }[]
}

export interface FenceOptions {
  /** What an earlier fence remembered (its `state()`); a resource that forgets lets the past write. */
  state?: FenceState
  /**
   * Names remembered per room at most, default no bound. Beyond it the name with the oldest token is forgotten, and older tokens
   * are refused for every name that is not remembered: no stale writer gets in, but one who has held its lock for that long
   * without writing may have to acquire it anew.
   */
  maxNames?: number
}

/**
 * The check for a resource outside the room (T2): the resource remembers the newest token that it has let in for each lock,
 * and refuses older ones. A holder that was asleep in the middle of a line cannot overwrite its successor any more, once that one
 * has written. The fencing tokens of M. Kleppmann, "How to do distributed locking" (2016), and of Chubby's sequencers.
 *
 * The newest token must live as long as the data, and change in the same step: store `state()` in the transaction that writes.
 */
export interface ResourceFence {
  /** Lets a write in and remembers its token; throws `StaleFenceError` if a newer one was let in for that lock before. */
  admit(claim: FenceClaim): void
  admit(name: string, token: number): void
  /** Throws as `admit` does, and remembers nothing: for a look before costly work. Only `admit` protects a write. */
  check(claim: FenceClaim): void
  check(name: string, token: number): void
  /** What it remembers: a copy. */
  state(): FenceState
}

/** A fence for a resource outside the room. Runs anywhere; see `ResourceFence`. `TypeError` and `RangeError` for wrong options. */
export function createFence(options: FenceOptions = {}): ResourceFence {
  return new TokenFence(options)
}

interface RoomTokens {
  floor: number
  readonly tokens: Map<string, number>
}

class TokenFence implements ResourceFence {
  readonly #rooms = new Map<string, RoomTokens>()
  readonly #maxNames: number

  constructor(options: FenceOptions) {
    if (typeof options !== 'object' || options === null || Array.isArray(options))
      throw new TypeError('options: expected an object')
    const { state, maxNames = Number.POSITIVE_INFINITY } = options
    if (typeof maxNames !== 'number') throw new TypeError(`options.maxNames: expected a number, got ${typeof maxNames}`)
    if (maxNames !== Number.POSITIVE_INFINITY && !(Number.isInteger(maxNames) && maxNames > 0)) {
      throw new RangeError(`options.maxNames: expected a whole number above 0, got ${maxNames}`)
    }
    this.#maxNames = maxNames
    if (state !== undefined) this.#restore(state)
  }

  admit(first: FenceClaim | string, second?: number): void {
    const { room, name, token } = claimOf(first, second)
    this.#refuseStale(room, name, token)
    this.#remember(this.#tokensOf(room), name, token)
  }

  check(first: FenceClaim | string, second?: number): void {
    const { room, name, token } = claimOf(first, second)
    this.#refuseStale(room, name, token)
  }

  state(): FenceState {
    const rooms = [...this.#rooms].map(([room, { floor, tokens }]) => ({ room, floor, tokens: [...tokens] }))
    return { version: 1, rooms }
  }

  #refuseStale(room: string, name: string, token: number): void {
    const known = this.#rooms.get(room)
    const newest = known?.tokens.get(name) ?? known?.floor ?? 0
    if (token >= newest) return
    const message = `the resource has seen token ${newest} of the lock ${JSON.stringify(name)}: ${token} is from the past`
    throw new StaleFenceError(message, newest)
  }

  #tokensOf(room: string): RoomTokens {
    const known = this.#rooms.get(room) ?? { floor: 0, tokens: new Map() }
    this.#rooms.set(room, known)
    return known
  }

  #remember(known: RoomTokens, name: string, token: number): void {
    known.tokens.set(name, token)
    if (known.tokens.size <= this.#maxNames) return
    // Not the longest unused one: the floor would rise above tokens that are newer than it, whose names nobody has shown yet.
    const oldest = [...known.tokens].reduce((oldest, entry) => (entry[1] < oldest[1] ? entry : oldest))
    known.tokens.delete(oldest[0])
    known.floor = Math.max(known.floor, oldest[1])
  }

  #restore(state: FenceState): void {
    if (typeof state !== 'object' || state === null || state.version !== 1 || !Array.isArray(state.rooms)) {
      throw new TypeError('options.state: expected what state() gave')
    }
    for (const { room, floor, tokens } of state.rooms) {
      if (typeof room !== 'string' || !isToken(floor, 0) || !Array.isArray(tokens)) {
        throw new TypeError('options.state: expected what state() gave')
      }
      const known = this.#tokensOf(room)
      known.floor = floor
      for (const [name, token] of tokens) {
        checkClaim(name, token, room, 'options.state: ')
        this.#remember(known, name, token)
      }
    }
  }
}

function claimOf(first: unknown, second: unknown): Required<FenceClaim> {
  if (typeof first === 'string') return checkClaim(first, second, '')
  if (typeof first !== 'object' || first === null) {
    throw new TypeError(`claim: expected a lock, or its name and token, got ${first === null ? 'null' : typeof first}`)
  }
  const { name, token, room = '' } = first as Partial<Record<keyof FenceClaim, unknown>>
  return checkClaim(name, token, room)
}

function checkClaim(name: unknown, token: unknown, room: unknown, where = ''): Required<FenceClaim> {
  if (typeof name !== 'string') throw new TypeError(`${where}name: expected a string, got ${typeof name}`)
  if (typeof room !== 'string') throw new TypeError(`${where}room: expected a string, got ${typeof room}`)
  if (typeof token !== 'number') throw new TypeError(`${where}token: expected a number, got ${typeof token}`)
  if (!isToken(token, 1)) throw new RangeError(`${where}token: expected a safe integer above 0, got ${token}`)
  return { name, token, room }
}

function isToken(value: unknown, min: number): value is number {
  return Number.isSafeInteger(value) && Number(value) >= min
}
