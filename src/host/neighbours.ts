/** Who is linked with whom, as far as each has told: what a host knows of links that are not its own. */
import type { PeerId } from '../raft/entry.js'
import type { HostContext } from './context.js'
import { linksMax } from './item-codec.js'

export class Neighbours {
  readonly #context: Pick<HostContext, 'peers' | 'self'>
  readonly #links = new Map<PeerId, ReadonlySet<PeerId>>()
  /** What each of them was told last. */
  readonly #told = new Map<PeerId, string>()

  constructor(context: Pick<HostContext, 'peers' | 'self'>) {
    this.#context = context
  }

  note(peerId: PeerId, peerIds: readonly PeerId[]): void {
    this.#links.set(peerId, new Set(peerIds))
  }

  /** Nothing leads there any more; a new link is told everything anew. */
  forget(peerId: PeerId): void {
    this.#links.delete(peerId)
    this.#told.delete(peerId)
  }

  /** It introduced itself, perhaps in a new life that has heard nothing. */
  met(peerId: PeerId): void {
    this.#told.delete(peerId)
  }

  /** Who has a link to that peer and one to this host, nobody in between; the nearest first. */
  routesTo(target: PeerId): readonly PeerId[] {
    const { peers } = this.#context
    const routes: PeerId[] = []
    for (const [peerId, links] of this.#links)
      if (peerId !== target && links.has(target) && peers.isDirect(peerId)) routes.push(peerId)
    const distance = (peerId: PeerId) => peers.rtt(peerId) ?? Number.MAX_SAFE_INTEGER
    return routes.sort((a, b) => distance(a) - distance(b) || (a < b ? -1 : 1))
  }

  /** Whether that one says so of itself. */
  isLinked(peerId: PeerId, target: PeerId): boolean {
    return this.#links.get(peerId)?.has(target) === true
  }

  /** Everyone to whom somebody else is linked. */
  get known(): readonly PeerId[] {
    return [...new Set([...this.#links.values()].flatMap((links) => [...links]))].sort()
  }

  /**
   * Tells everyone whose picture is old. Who is reached by a relay only has no use for it. A dead tab's node reaches nobody but the
   * tabs of its browser: they pass on for it by one hop more, so it hears of whom that leads to as well (L4).
   */
  tick(): void {
    const { peers, self } = this.#context
    const linked = peers
      .all()
      .filter(({ peerId }) => peers.isDirect(peerId))
      .sort((a, b) => (a.peerId < b.peerId ? -1 : 1))
    const direct = linked.map(({ peerId }) => peerId)
    for (const { peerId, resident } of linked) {
      const isFurther = resident && !self.resident
      const known = isFurther ? this.known.filter((other) => other !== peerId && other !== self.peerId) : []
      // Those who are near come first: there may be too many.
      const peerIds = [...new Set([...direct, ...known])].slice(0, linksMax)
      const text = peerIds.join()
      if (this.#told.get(peerId) === text) continue
      this.#told.set(peerId, text)
      peers.send(peerId, { type: 'links', peerIds })
    }
  }
}
