/** How fit each peer's page is to carry others (M4): everybody tells everybody, so that whoever leads later knows it too. */
import type { Incarnation, PeerId } from '../raft/entry.js'
import type { HostContext } from './context.js'
import type { Item } from './frame.js'
import type { PageCondition } from './page.js'
import type { Peer } from './peers.js'

export type ConditionItem = Extract<Item, { type: 'condition' }>

export interface Condition extends PageCondition {
  /** It asked never to vote. */
  readonly learnerOnly: boolean
  /** How long this life has been in the room, ms. */
  readonly stayed: number
  /** How long it has been fit without a break, ms; 0 while it is not. Shorter than `stayed`: it was unfit before in this life. */
  readonly fitFor: number
  /** What a commit would wait for if it led: its median round trip to the voters, itself included, ms. Null when not measured. */
  readonly rtt: number | null
}

/** As of a time of this host's monotonic clock. */
interface Known {
  readonly incarnation: Incarnation
  readonly told: Condition
  readonly at: number
}

/** A page that may stop at any moment without a word: a phone puts what it hides to sleep when it likes. */
export function isUnfit({ visible, phone, frozen }: PageCondition): boolean {
  return frozen || (phone && !visible)
}

/** Round trips move all the time: told again when one has doubled or halved, by so many ms at least. */
const rttChange = 10

export class Conditions {
  readonly #context: HostContext
  readonly #learnerOnly: () => boolean
  readonly #known = new Map<PeerId, Known>()
  #own: PageCondition = { visible: true, phone: false, frozen: false }
  #enteredAt: number | null = null
  #fitSince = Number.NEGATIVE_INFINITY
  #rttTold: number | null = null

  constructor(context: HostContext, learnerOnly: () => boolean) {
    this.#context = context
    this.#learnerOnly = learnerOnly
  }

  /** This life belongs to the room from now on. */
  entered(): void {
    this.#enteredAt ??= this.#context.now.monotonic
    this.#tellAll()
  }

  /** Whether this peer may vote has become known with the room's settings. */
  roleKnown(): void {
    this.#tellAll()
  }

  /** The page has said how it is. */
  changed(condition: PageCondition): void {
    const wasFit = !isUnfit(this.#own)
    this.#own = condition
    if (!wasFit && !isUnfit(condition)) this.#fitSince = this.#context.now.monotonic
    this.#tellAll()
  }

  met(peerId: PeerId): void {
    const item = this.#item()
    if (item) this.#context.send(peerId, item)
  }

  /** What is told is of the life that tells it, and of now. */
  told({ peerId, incarnation }: Pick<Peer, 'peerId' | 'incarnation'>, { type: _, ...told }: ConditionItem): void {
    this.#known.set(peerId, { incarnation, told, at: this.#context.now.monotonic })
  }

  /** Null while nothing is known of the life that was last seen of it. */
  of(peerId: PeerId): Condition | null {
    const { self, peers, now } = this.#context
    if (peerId === self.peerId) return this.own
    const known = this.#known.get(peerId)
    const counter = peers.peer(peerId)?.incarnation.counter ?? 0
    if (!known || known.incarnation.counter < counter) return null
    const since = Math.max(0, now.monotonic - known.at)
    const { told } = known
    return { ...told, stayed: told.stayed + since, fitFor: isUnfit(told) ? 0 : told.fitFor + since }
  }

  /** The page is about to stop, or has. */
  get isFrozen(): boolean {
    return this.#own.frozen
  }

  get own(): Condition {
    const { monotonic } = this.#context.now
    const enteredAt = this.#enteredAt ?? monotonic
    const fitFor = isUnfit(this.#own) ? 0 : monotonic - Math.max(enteredAt, this.#fitSince)
    return {
      ...this.#own,
      learnerOnly: this.#learnerOnly(),
      stayed: Math.max(0, monotonic - enteredAt),
      fitFor: Math.max(0, fitFor),
      rtt: this.#rtt(),
    }
  }

  tick(): void {
    const { peers, raft } = this.#context
    const rtt = this.#rtt()
    const told = this.#rttTold
    const isNews =
      rtt === null || told === null
        ? rtt !== told
        : Math.abs(rtt - told) >= rttChange && Math.max(rtt, told) >= 2 * Math.min(rtt, told)
    if (isNews) this.#tellAll()
    const { voters, outgoing, learners } = raft.configuration
    for (const peerId of this.#known.keys())
      if (!peers.peer(peerId) && ![...voters, ...outgoing, ...learners].includes(peerId)) this.#known.delete(peerId)
  }

  #tellAll(): void {
    for (const { peerId } of this.#context.peers.all()) this.met(peerId)
  }

  /** A dead tab's node has no page that could be in any condition (L4). */
  #item(): ConditionItem | null {
    const { self } = this.#context
    if (self.resident || this.#enteredAt === null) return null
    const own = this.own
    this.#rttTold = own.rtt
    return { type: 'condition', ...own }
  }

  #rtt(): number | null {
    const { raft, peers, self } = this.#context
    const { voters } = raft.configuration
    const measured = voters.flatMap((peerId) => (peerId === self.peerId ? [] : (peers.rtt(peerId) ?? [])))
    const all = [0, ...measured].sort((a, b) => a - b)
    const others = voters.includes(self.peerId) ? voters.length - 1 : voters.length
    return others === 0 ? null : (all[(others + 1) >> 1] ?? null)
  }
}
