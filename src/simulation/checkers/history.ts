import type { World } from '../world.js'
import type { LogChecker } from './log.js'

/** An operation that has begun: everything acknowledged before it must be seen by it. */
export interface Begun {
  readonly key: string
  /** The highest index that some finished operation had seen when this one began. */
  readonly after: number
}

/**
 * Linearizability of the store, by the log: a write takes effect at its revision, a read at some index between what was
 * acknowledged when it began and what was committed when it ended, and nothing may be seen to go back.
 */
export class HistoryChecker {
  readonly #world: World
  readonly #log: LogChecker
  #seen = 0
  #checked = 0

  constructor(world: World, log: LogChecker) {
    this.#world = world
    this.#log = log
  }

  get checked(): number {
    return this.#checked
  }

  begin(key: string): Begun {
    return { key, after: this.#seen }
  }

  /** The write was acknowledged with that revision. */
  wrote({ key, after }: Begun, revision: number): void {
    this.#checked += 1
    const isThere = this.#log
      .versionsOf(key)
      .some((version) => version.revision === revision && version.index === revision)
    if (!isThere) this.#world.convict('acknowledged-write', `the write of ${key} at ${revision} is not in the log`)
    if (revision <= after)
      this.#world.convict('linearizability', `a write of ${key} took effect at ${revision}, before it began (${after})`)
    this.#seen = Math.max(this.#seen, revision)
  }

  /** The read gave that revision, or null for nothing there. */
  read({ key, after }: Begun, revision: number | null): void {
    this.#checked += 1
    const versions = [{ index: 0, revision: null }, ...this.#log.versionsOf(key)]
    const at = versions.findIndex((version, i) => {
      const until = versions[i + 1]?.index ?? Number.POSITIVE_INFINITY
      return version.revision === revision && until > after
    })
    const found = versions[at]
    if (!found) {
      const now = `it was ${versions.at(-1)?.revision} at ${versions.at(-1)?.index}`
      this.#world.convict('linearizability', `a read of ${key} that began after ${after} gave ${revision}, ${now}`)
      return
    }
    this.#seen = Math.max(this.#seen, found.index)
  }
}
