import type { World } from '../world.js'

/** A resource outside the room that refuses tokens older than the newest it has seen: the last line of defence (T1). */
export class FenceRegister {
  readonly #world: World
  readonly #newest = new Map<string, number>()

  constructor(world: World) {
    this.#world = world
  }

  /**
   * A write under a token arrives. `isCertain`: its writer reads `held` at this very moment, so a refusal would mean that
   * somebody else was let in beside it.
   */
  write(name: string, token: number, isCertain: boolean): boolean {
    const newest = this.#newest.get(name) ?? 0
    if (token < newest) {
      if (isCertain) this.#world.convict('fence', `${name}: the certain holder of ${token} came after ${newest}`)
      return false
    }
    this.#newest.set(name, token)
    return true
  }
}
