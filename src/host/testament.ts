/**
 * The last words that the page keeps for its last moment (M1), and the vote among them (M2): whoever leads two voters leaves the
 * other one its vote. The page holds the only copy, so that what it has destroyed can never be shown.
 */
import type { PeerId } from '../raft/entry.js'
import type { HostContext } from './context.js'
import type { Item } from './frame.js'
import type { Goodbye } from './page.js'

type LastWord = Extract<Item, { type: 'goodbye' }>

export class Testament {
  readonly #context: HostContext
  readonly #session: () => Pick<LastWord, 'session' | 'lastNumber'>
  readonly #heir: () => PeerId | null
  #shown = ''
  #isDirty = true
  #number = 0
  /** As of the newest testament. */
  #voteShown: number | null = null
  /** The term of the vote that the page may hold, null when it surely holds none. */
  #voteAtPage: number | null = null
  /** The testament without it that the page has to confirm. */
  #withdrawal: number | null = null

  /** `heir`: to whom leadership goes with the last word. */
  constructor(
    context: HostContext,
    session: () => Pick<LastWord, 'session' | 'lastNumber'>,
    heir: () => PeerId | null = () => null,
  ) {
    this.#context = context
    this.#session = session
    this.#heir = heir
  }

  goodbye(peerId: PeerId, heir: PeerId | null = this.#heir()): LastWord {
    const vote = this.#vote()
    const plain = { type: 'goodbye', ...this.#session(), vote: vote?.to === peerId ? vote.term : null } as const
    return heir === null ? plain : { ...plain, heir }
  }

  /** True when no page can show a vote; else the page is asked for its copy, and it is worth asking again after `confirmed`. */
  withdrawVote(): boolean {
    if (this.#withdrawal !== null) return false
    if (this.#voteAtPage === null) {
      this.#context.raft.revokePromise()
      return true
    }
    this.#withdrawal = this.#number + 1
    this.#show()
    return false
  }

  /** The page holds the testament of that number, and nothing of those before it. */
  confirmed(number: number): void {
    if (number !== this.#withdrawal) return
    this.#withdrawal = null
    this.#voteAtPage = null
    this.#context.raft.revokePromise()
  }

  /** Somebody came or went, or commands were sent. */
  changed(): void {
    this.#isDirty = true
  }

  flush(): void {
    if (!this.#isDirty && (this.#vote()?.term ?? null) === this.#voteShown) return
    this.#isDirty = false
    const { peers } = this.#context
    const { session, lastNumber } = this.#session()
    const lives = peers.all().map(({ peerId, incarnation }) => `${peerId}.${incarnation.counter}`)
    const heir = this.#heir()
    const key = `${session} ${lastNumber} ${this.#vote()?.term} ${heir} ${lives.join()}`
    if (key === this.#shown) return
    this.#shown = key
    this.#show(heir)
  }

  /** None while one is being withdrawn, whatever the core has promised since. */
  #vote(): { readonly to: PeerId; readonly term: number } | null {
    return this.#withdrawal === null ? this.#context.raft.promisedVote : null
  }

  #show(heir: PeerId | null = this.#heir()): void {
    const { peers } = this.#context
    const goodbyes = peers.all().flatMap((peer): Goodbye[] => {
      const link = peers.link(peer.peerId)
      // Nothing of the page leads through a third peer.
      if (!link || link.kind === 'peer-relay') return []
      const { peerId, incarnation } = peer
      return [{ peerId, incarnation, link: link.kind, frame: peers.frameFor(peer, [this.goodbye(peerId, heir)]) }]
    })
    this.#number += 1
    this.#voteShown = this.#vote()?.term ?? null
    this.#voteAtPage = this.#voteShown ?? this.#voteAtPage
    this.#context.emit({
      type: 'testament',
      goodbyes,
      number: this.#number,
      confirm: this.#number === this.#withdrawal,
    })
  }
}
