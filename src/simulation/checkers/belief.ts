import type { Lock } from '../../client/lock.js'
import type { LockScope } from '../../machine/lock/command.js'
import { historyKey } from '../history-key.js'
import type { SimPage } from '../page.js'
import type { HostRecord } from '../worker.js'
import type { World } from '../world.js'
import type { LogChecker } from './log.js'
import { excludes } from './territory.js'

interface Holding {
  readonly page: SimPage
  readonly lock: Lock
  /** As it was asked for. */
  readonly scope: LockScope
}

/**
 * Mutual exclusion as pages see it: at no moment of true time may two pages read `held` for locks that exclude each
 * other. Certainty only begins with events, so looking after each one misses nothing.
 */
export class BeliefChecker {
  readonly #world: World
  readonly #log: LogChecker
  readonly #logOf: (record: HostRecord) => LogChecker
  readonly #holdings = new Map<string, Holding[]>()

  constructor(world: World, log: LogChecker, logOf: (record: HostRecord) => LogChecker) {
    this.#world = world
    this.#log = log
    this.#logOf = logOf
  }

  /** A page was given a lock. */
  got(page: SimPage, lock: Lock, scope: LockScope = 'exact'): void {
    const holdings = this.#holdings.get(lock.name) ?? []
    this.#holdings.set(lock.name, holdings)
    holdings.push({ page, lock, scope })
  }

  check(): void {
    const certain: Holding[] = []
    for (const [name, holdings] of this.#holdings) {
      const left = holdings.filter((holding) => !isOver(holding))
      if (left.length === 0) this.#holdings.delete(name)
      else if (left.length < holdings.length) this.#holdings.set(name, left)
      certain.push(...left.filter((holding) => this.#isCertain(holding)))
    }
    for (const holding of certain) this.#checkRoom(holding)
    if (certain.length < 2) return
    for (const group of byHistory(certain)) this.#checkGroup(group)
  }

  #checkGroup(holdings: readonly Holding[]): void {
    const all = holdings.map((holding) => {
      const { lock, scope } = holding
      // Whose of those it is, is not known: it was asked for with this scope.
      const granted = this.#log.territoriesOf(lock.name, lock.token)
      return { holding, mode: lock.mode, territories: granted.map((territory) => ({ ...territory, scope })) }
    })
    for (const one of all) {
      const other = all.find(({ territories }) =>
        one.territories.every((a) => territories.every((b) => excludes(a, b))),
      )
      if (one.mode === 'exclusive' && other) this.#convict(one.holding.lock.name, [one.holding, other.holding])
    }
  }

  /** S-4, S-7: while a page reads `held` the room has not ended the hold. So nobody was granted what meets it. */
  #checkRoom({ page, lock }: Holding): void {
    const record = page.worker?.record
    if (!record?.host.lineage || this.#logOf(record).locks.isHeld(lock.name, lock.token)) return
    const who = `${page.thread.name} (${page.peerId})`
    this.#world.convict('belief', `${who} reads held for ${lock.name} under ${lock.token}, which has ended`)
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
