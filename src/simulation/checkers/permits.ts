import type { Permit } from '../../client/permit.js'
import { historyKey } from '../history-key.js'
import type { SimPage } from '../page.js'
import type { World } from '../world.js'

interface Holding {
  readonly page: SimPage
  readonly permit: Permit
}

/** At no moment of true time may pages read `held` for more permits than there were when the newest of them were granted. */
export class PermitChecker {
  readonly #world: World
  readonly #sizeOf: (page: SimPage, permit: Permit) => number
  #holdings: Holding[] = []

  /** `sizeOf`: that of the one semaphore that there is, at that grant. */
  constructor(world: World, sizeOf: (page: SimPage, permit: Permit) => number) {
    this.#world = world
    this.#sizeOf = sizeOf
  }

  got(page: SimPage, permit: Permit): void {
    this.#holdings.push({ page, permit })
  }

  check(): void {
    if (this.#holdings.length < 2) return
    this.#holdings = this.#holdings.filter(
      ({ page, permit }) => !page.thread.isDead && permit.state !== 'lost' && permit.state !== 'released',
    )
    // A frozen page reads nothing.
    const certain = this.#holdings.filter(({ page, permit }) => !page.thread.isFrozen && permit.state === 'held')
    // N2: within one history.
    for (const history of new Set(certain.map(historyOf))) {
      const holdings = certain.filter((holding) => historyOf(holding) === history)
      const sum = holdings.reduce((sum, { permit }) => sum + permit.count, 0)
      // Who holds one that is older held it then too.
      const newest = holdings.reduce((one, other) => (other.permit.id > one.permit.id ? other : one))
      const size = this.#sizeOf(newest.page, newest.permit)
      if (sum <= size) continue
      const who = holdings.map(({ page, permit }) => `${page.thread.name} (${permit.count} under ${permit.id})`)
      this.#world.convict('belief', `of ${size} permits ${sum} are held at once, by ${who.join(' and ')}`)
    }
  }
}

function historyOf({ page }: Holding): string {
  const lineage = page.worker?.record?.host.lineage
  return lineage ? historyKey(lineage) : ''
}
