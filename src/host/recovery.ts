/**
 * A new quorum of those who are left, once somebody accepts the loss (`recover()`, N3): whoever has the best log of all who can be
 * asked leads a history of its own from there on, and the others follow it with the logs that they have.
 *
 * The best log holds whatever any of them knows to be committed: its last entry's leader had it all (Leader Completeness), and the
 * entries before it are that leader's (Log Matching). So nobody here has to give up what it has applied.
 */
import { votersOf } from '../raft/configuration.js'
import type { EntryId, PeerId } from '../raft/entry.js'
import { elapsedAtMost, type Instant } from '../shared/instant.js'
import type { Lineage } from '../storage/storage.js'
import type { HostContext } from './context.js'
import type { Item } from './frame.js'
import type { Reply } from './page.js'

/** Whoever has not answered by then is left out, ms. It joins the new history when it is back. */
const answersWithin = 2_000
/** For so long after its answer a peer says and hears nothing in the old history, so that its answer stays true, ms. */
const standsByFor = 5_000
/** The new quorum has come by then, or the attempt has failed, ms. */
const doneWithin = 10_000

/** Who is of no room yet says after so long that nobody of it is there, and may found it anew, ms. */
export const nobodyAfter = 10_000

/** How far a peer has come in the history that is to end. */
export interface Position {
  readonly term: number
  readonly last: EntryId
}

type Done = (reply: Reply<null>) => void

/** The attempt that this peer has begun. */
interface Attempt {
  readonly forkId: string
  readonly since: Instant
  readonly positions: Map<PeerId, Position>
  readonly unanswered: Set<PeerId>
  isDecided: boolean
}

interface Agreed {
  readonly forkId: string
  readonly by: PeerId
  readonly since: Instant
  /** What it has told. */
  readonly position: Position
}

export interface RecoveryActions {
  /** Begins that history with this peer's log, as its only voter. */
  fork(forkId: string, term: number, members: number): void
  /** Founds the room anew: of what it was nobody who is left has anything. */
  foundAnew(term: number): void
  randomText(): string
}

export class Recovery {
  readonly #context: HostContext
  readonly #lineage: () => Lineage | null
  readonly #actions: RecoveryActions
  #attempt: Attempt | null = null
  #waiting: { readonly done: Done; readonly since: Instant }[] = []
  /** Whose attempt this peer has agreed to, and when. */
  #agreed: Agreed | null = null
  readonly #begunAt: Instant

  constructor(context: HostContext, lineage: () => Lineage | null, actions: RecoveryActions) {
    this.#context = context
    this.#lineage = lineage
    this.#actions = actions
    this.#begunAt = context.now
  }

  /** It has told how far it has come: until then nothing of the old history may reach its core. */
  get isStandingBy(): boolean {
    return this.#agreed !== null && elapsedAtMost(this.#agreed.since, this.#context.now) < standsByFor
  }

  /** The page asks for it. */
  begin(done: Done): void {
    const { raft, self, peers, now } = this.#context
    if (raft.hasQuorum) {
      done(refused('the room has its quorum: there is nothing to recover'))
      return
    }
    const isOutside = raft.configuration.voters.length === 0
    if (isOutside && elapsedAtMost(this.#begunAt, now) < nobodyAfter) {
      done(refused(`this peer has not reached the room yet, and looks for it for ${nobodyAfter} ms`))
      return
    }
    this.#waiting.push({ done, since: now })
    // Somebody else's attempt is under way, or an earlier call's.
    if (this.#attempt || this.isStandingBy) return
    const others = peers.all().filter(({ founded }) => founded)
    if (!this.#lineage() && others.length === 0) {
      this.#actions.foundAnew(raft.term + 2)
      return
    }
    this.#attempt = {
      forkId: this.#actions.randomText(),
      since: now,
      positions: new Map(),
      unanswered: new Set(others.map(({ peerId }) => peerId)),
      isDecided: false,
    }
    const { forkId } = this.#attempt
    this.#agree(forkId, self.peerId)
    for (const { peerId } of others) this.#context.send(peerId, { type: 'recover', forkId })
    this.#decide()
  }

  item(from: PeerId, item: Extract<Item, { type: 'recover' | 'position' | 'lead' }>): void {
    switch (item.type) {
      case 'recover':
        this.#asked(from, item.forkId)
        break
      case 'position':
        this.#answered(from, item.forkId, item.position)
        break
      case 'lead':
        if (this.isStandingBy && this.#agreed?.forkId === item.forkId) this.#lead(item)
        break
      default:
        item satisfies never
    }
  }

  /** Whether this peer has agreed to exactly that history, and its log is still the one that it told of. */
  hasAgreedTo({ forkId }: Lineage): boolean {
    if (!this.isStandingBy || this.#agreed?.forkId !== forkId) return false
    const [told, now] = [this.#agreed.position, this.#position()]
    return told.term === now.term && told.last.term === now.last.term && told.last.index === now.last.index
  }

  /** This peer belongs to another history now. */
  ended(): void {
    this.#agreed = null
    this.#attempt = null
  }

  tick(): void {
    const { now, raft } = this.#context
    if (this.#agreed && !this.isStandingBy) this.#agreed = null
    if (this.#attempt && elapsedAtMost(this.#attempt.since, now) >= answersWithin) {
      this.#attempt.unanswered.clear()
      this.#decide()
    }
    if (this.#waiting.length === 0) return
    if (raft.hasQuorum && !this.isStandingBy) this.#settle({ ok: true, value: null })
    else if (this.#waiting.some(({ since }) => elapsedAtMost(since, now) >= doneWithin)) this.#giveUp()
  }

  fail(reply: Extract<Reply<null>, { ok: false }>): void {
    this.ended()
    this.#settle(reply)
  }

  /** Of two who ask at once the smaller id goes on, so that their peers are not divided between two histories. */
  #asked(from: PeerId, forkId: string): void {
    const { raft } = this.#context
    // Its own leader knows better than who follows it.
    if ((raft.hasQuorum && raft.leader !== from) || !this.#lineage()) {
      this.#context.send(from, { type: 'position', forkId, position: null })
      return
    }
    if (this.isStandingBy && this.#agreed && this.#agreed.by < from) return
    this.#attempt = null
    this.#agree(forkId, from)
    this.#context.send(from, { type: 'position', forkId, position: this.#position() })
  }

  #answered(from: PeerId, forkId: string, position: Position | null): void {
    const attempt = this.#attempt
    if (attempt?.forkId !== forkId || attempt.isDecided || !attempt.unanswered.delete(from)) return
    if (position) {
      attempt.positions.set(from, position)
      this.#decide()
      return
    }
    this.ended()
    this.#settle(refused(`the room has its quorum: ${from} is in touch with it`))
  }

  #decide(): void {
    const attempt = this.#attempt
    if (!attempt || attempt.isDecided || attempt.unanswered.size > 0) return
    attempt.isDecided = true
    const { self, raft } = this.#context
    const positions = new Map([...attempt.positions, [self.peerId, this.#position()]])
    const best = bestOf(positions, votersOf(raft.configuration))
    // One more than a promised vote could take (M2).
    const term = Math.max(...[...positions.values()].map((position) => position.term)) + 2
    if (positions.get(best)?.last.index === 0) {
      this.#actions.foundAnew(term)
      return
    }
    this.#context.send(best, { type: 'lead', forkId: attempt.forkId, term, members: positions.size })
  }

  #lead({ forkId, term, members }: Extract<Item, { type: 'lead' }>): void {
    if (term <= this.#context.raft.term + 1 || members < 1) return
    this.#attempt = null
    this.#actions.fork(forkId, term, members)
  }

  #agree(forkId: string, by: PeerId): void {
    this.#agreed = { forkId, by, since: this.#context.now, position: this.#position() }
  }

  #position(): Position {
    const { raft } = this.#context
    return { term: raft.term, last: { term: raft.entryTerm(raft.lastIndex) ?? 0, index: raft.lastIndex } }
  }

  #giveUp(): void {
    const { raft, peers, self } = this.#context
    const missing = raft.configuration.voters.filter((peerId) => peerId !== self.peerId && !peers.isReachable(peerId))
    this.fail({ ok: false, failure: { code: 'no-quorum', message: 'no new quorum has come', details: { missing } } })
  }

  #settle(reply: Reply<null>): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const { done } of waiting) done(reply)
  }
}

/**
 * As in an election (Raft paper 5.4.1). Of equals a voter: who does not vote may not want to, or keeps its log in memory alone; then
 * the smallest id.
 */
export function bestOf(positions: ReadonlyMap<PeerId, Position>, voters: readonly PeerId[]): PeerId {
  const rank = (peerId: PeerId) => (voters.includes(peerId) ? 0 : 1)
  const ranked = [...positions].sort(
    ([a, { last: one }], [b, { last: other }]) =>
      other.term - one.term || other.index - one.index || rank(a) - rank(b) || (a < b ? -1 : a > b ? 1 : 0),
  )
  const [best] = ranked
  if (!best) throw new RangeError('positions: expected at least one')
  return best[0]
}

function refused(message: string): Extract<Reply<null>, { ok: false }> {
  return { ok: false, failure: { code: 'conflict', message } }
}
