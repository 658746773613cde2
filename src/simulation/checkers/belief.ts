import type { Lock } from '../../client/lock.js'
import { historyKey } from '../history-key.js'
import type { SimPage } from '../page.js'
import type { World } from '../world.js'
import type { LogChecker } from './log.js'
import { excludes } from './territory.js'

interface Holding {
  readonly page: SimPage
  readonly lock: Lock
}

/**
 * Mutual exclusion as pages see it: at no moment of true time may two pages read `held` for locks that exclude each
 * other. Certainty only begins with events, so looking after each one misses nothing.
 */
export class BeliefChecker {
  readonly #world: World
  readonly #log: LogChecker
  readonly #holdings = new Map<string, Holding[]>()

  constructor(world: World, log: LogChecker) {
    this.#world = world
    this.#log = log
  }

  /** A page was given a lock. */
  got(page: SimPage, lock: Lock): void {
    const holdings = this.#holdings.get(lock.name) ?? []
    this.#holdings.set(lock.name, holdings)
    holdings.push({ page, lock })
  }

  check(): void {
    const certain: Holding[] = []
    for (const [name, holdings] of this.#holdings) {
      const left = holdings.filter((holding) => !isOver(holding))
      if (left.length === 0) this.#holdings.delete(name)
      else if (left.length < holdings.length) this.#holdings.set(name, left)
      certain.push(...left.filter((holding) => this.#isCertain(holding)))
    }
    if (certain.length < 2) return
    for (const group of byHistory(certain)) this.#checkGroup(group)
  }

  #checkGroup(holdings: readonly Holding[]): void {
    const all = holdings.map((holding) => {
      const { name, token, mode } = holding.lock
      return { holding, mode, territory: this.#log.territoryOf(name, token) }
    })
    for (const one of all) {
      const other = all.find(({ territory }) => excludes(one.territory, territory))
      if (one.mode === 'exclusive' && other) this.#convict(one.holding.lock.name, [one.holding, other.holding])
    }
  }

  /** A frozen page reads nothing. What was stolen may be believed for a while: `steal` waits for nobody. */
  #isCertain({ page, lock }: Holding): boolean {
    return !page.thread.isFrozen && lock.state === 'held' && !this.#log.wasStolen(lock.name, lock.token)
  }

  #convict(name: string, holdings: readonly Holding[]): void {
    const who = holdings.map(
      ({ page, lock }) => `${page.thread.name} (${page.peerId}) ${lock.mode} under ${lock.token}`,
    )
    this.#world.convict('belief', `${name} is held at once by ${who.join(' and ')}`)
  }
}

function isOver({ page, lock }: Holding): boolean {
  return page.thread.isDead || lock.state === 'lost' || lock.state === 'released'
}

/** N2: exclusion holds within one history. */
function byHistory(holdings: readonly Holding[]): Iterable<Holding[]> {
  const histories = new Map<string, Holding[]>()
  for (const holding of holdings) {
    const lineage = holding.page.worker?.record?.host.lineage
    const key = lineage ? historyKey(lineage) : ''
    const others = histories.get(key)
    if (others) others.push(holding)
    else histories.set(key, [holding])
  }
  return histories.values()
}
