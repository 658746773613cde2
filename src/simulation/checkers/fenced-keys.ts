import type { LockMode } from '../../machine/lock/command.js'
import { decodeValue, type Value } from '../../shared/value.js'
import type { World } from '../world.js'
import type { TrueChange } from './changes.js'
import type { LockChecker } from './locks.js'

/** Keys that are written under a fence alone, each under the lock that it is named after. */
export const fencedPrefix = 'fenced '

/** What is written there. */
export type FencedValue = { readonly token: number; readonly mode: LockMode; readonly write: number }

/** T1, T2 by what is in the store alone: each value says under which token it was written, whatever its command said about that. */
export class FencedKeys {
  readonly #world: World
  readonly #locks: LockChecker
  /** By name: of whoever was alone. */
  readonly #newestAlone = new Map<string, number>()
  readonly #newest = new Map<string, number>()

  constructor(world: World, locks: LockChecker) {
    this.#world = world
    this.#locks = locks
  }

  changed(changes: readonly TrueChange[]): void {
    for (const { key, now, revision } of changes)
      if (now && key.startsWith(fencedPrefix))
        this.#written(key.slice(fencedPrefix.length), fencedValue(decodeValue(now.value)), revision)
  }

  /** Those who share a lock write in any order; but nobody after who was alone later, and nobody who is alone after any later one. */
  #written(name: string, { token, mode }: FencedValue, index: number): void {
    const newest = (mode === 'exclusive' ? this.#newest : this.#newestAlone).get(name) ?? 0
    if (token < newest)
      this.#world.convict('fence', `entry ${index} was written under ${name} ${token}, after ${newest}`)
    if (!this.#locks.passes(name, token))
      this.#world.convict('fence', `entry ${index} was written under ${name} ${token}, which is not held`)
    this.#newest.set(name, Math.max(this.#newest.get(name) ?? 0, token))
    if (mode === 'exclusive') this.#newestAlone.set(name, token)
  }
}

function fencedValue(value: Value): FencedValue {
  return value as FencedValue
}
