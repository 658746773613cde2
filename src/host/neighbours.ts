/** Who is linked with whom, as far as each has told: what a host knows of links that are not its own. */
import type { PeerId } from '../raft/entry.js'
import type { HostContext } from './context.js'
import { linksMax } from './item-codec.js'

export class Neighbours {
  readonly #context: Pick<HostContext, 'peers'>
  readonly #links = new Map<PeerId, ReadonlySet<PeerId>>()
  /** What each of them was told last. */
  readonly #told = new Map<PeerId, string>()

  constructor(context: Pick<HostContext, 'peers'>) {
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

  /** Everyone to whom somebody else is linked. */
  get known(): readonly PeerId[] {
    return [...new Set([...this.#links.values()].flatMap((links) => [...links]))].sort()
  }

  /** Tells everyone whose picture is old. Who is reached by a relay only has no use for it: one hop is all there is. */
  tick(): void {
    const { peers } = this.#context
    const direct = peers
      .all()
      .map(({ peerId }) => peerId)
      .filter((peerId) => peers.isDirect(peerId))
      .sort()
      .slice(0, linksMax)
    const text = direct.join()
    for (const peerId of direct) {
      if (this.#told.get(peerId) === text) continue
      this.#told.set(peerId, text)
      peers.send(peerId, { type: 'links', peerIds: direct })
    }
  }
}
