/**
 * Keeps this page's session alive and brings back the proof of it (S-4): the host asks, the page answers with its own
 * time, the answer goes to the leader, and the leader's echo of it moves the page's deadlines.
 */
import type { SessionId } from '../machine/command.js'
import { elapsedAtMost, type Instant } from '../shared/instant.js'
import type { HostContext } from './context.js'

/** The page is asked at least this often, ms; ten times in the shortest lease that it holds, if that is more. */
const askEvery = 1_000

/** They wait for entries that are on their way: a few, unless somebody invents them. */
const echoesMax = 64

interface Echo {
  readonly session: SessionId
  readonly sentAt: Instant
  readonly clusterTime: number
  readonly commitIndex: number
}

interface Confirmation {
  readonly left: number
  readonly again: boolean
  readonly run: () => void
}

export class OwnLease {
  readonly #context: HostContext
  readonly #session: () => SessionId | null
  readonly #shortestLease: () => number | null
  #askedAt: Instant | null = null
  #unanswered = false
  /** Questions that the page has not answered, as far as answers can be told from what it says by itself. */
  #open = 0
  #confirmations: Confirmation[] = []
  #latest: Instant | null = null
  #echoes: Echo[] = []
  /** The page has been told at least once that this session is certain. */
  #heardSession: SessionId | null = null

  constructor(context: HostContext, session: () => SessionId | null, shortestLease: () => number | null) {
    this.#context = context
    this.#session = session
    this.#shortestLease = shortestLease
  }

  /** The session of which the page has heard an echo: it can hold locks with certainty. */
  get heardSession(): SessionId | null {
    return this.#heardSession
  }

  /** A lease that is shorter than the time since the page was last heard would be over as soon as it is granted. */
  askFor(lease: number): void {
    if (this.#isDue(lease)) this.ask()
  }

  ask(): void {
    this.#askedAt = this.#context.now
    if (!this.#unanswered) this.#ask()
  }

  #ask(): void {
    this.#unanswered = true
    this.#open += 1
    this.#context.emit({ type: 'ask' })
  }

  /**
   * Runs once the page has surely dealt with all that it was told before now, which it does in order: it has answered a question that was
   * asked after it. Twice: once in a while a page speaks by itself.
   */
  confirm(run: () => void): void {
    this.#ask()
    this.#confirmations.push({ left: this.#open, again: true, run })
  }

  #answered(): void {
    this.#open = Math.max(0, this.#open - 1)
    const before = this.#confirmations
    this.#confirmations = []
    for (const { left, again, run } of before) {
      if (left > 1) this.#confirmations.push({ left: left - 1, again, run })
      else if (!again) run()
      else {
        this.#ask()
        this.#confirmations.push({ left: this.#open, again: false, run })
      }
    }
  }

  /** The page has answered, or spoke on its own: that was its time then. */
  alive(sentAt: Instant): void {
    this.#unanswered = false
    this.#answered()
    this.#latest = sentAt
    // In an idle room it rides on the next heartbeat's answer (M6).
    if (!this.#context.isCalm) this.#forward()
  }

  /** M6: a heartbeat of an idle room is answered, or sent. What the page said since the last one goes with it. */
  beat(): void {
    if (this.#session() === null) return
    this.#forward()
    this.ask()
  }

  sessionOpened(): void {
    if (this.#latest) this.#forward()
    this.ask()
  }

  sessionEnded(): void {
    this.#echoes = []
    this.#heardSession = null
    // Of what the session had, nothing is left to be asked back.
    this.#confirmations = []
  }

  leaderChanged(): void {
    if (this.#latest) this.#forward()
    this.ask()
  }

  echoed(echo: Echo): void {
    // An echo of what this page has not said yet would make it certain of times to come.
    if (echo.session !== this.#session() || !this.#latest || echo.sentAt.monotonic > this.#latest.monotonic) return
    this.#echoes.push(echo)
    if (this.#echoes.length > echoesMax) this.#echoes.shift()
  }

  tick(): void {
    if (this.#session() === null || this.#context.isCalm) return
    if (this.#isDue(this.#shortestLease() ?? Number.POSITIVE_INFINITY)) this.ask()
  }

  #isDue(lease: number): boolean {
    const heartbeat = this.#context.machine.settings?.timing.heartbeat ?? askEvery
    const every = Math.max(heartbeat, Math.min(askEvery, lease / 10))
    // Asking once too often is harmless; a wall clock that was set back must not stop it.
    return !this.#askedAt || elapsedAtMost(this.#askedAt, this.#context.now) >= every
  }

  /** Hands on the newest echo that the machine has caught up with (S-8): what it says is then known to the page. */
  deliver(): void {
    const { appliedIndex } = this.#context.machine
    const known = this.#echoes.filter((echo) => echo.commitIndex <= appliedIndex)
    const newest = known.at(-1)
    if (!newest) return
    this.#echoes = this.#echoes.filter((echo) => echo.commitIndex > appliedIndex)
    this.#heardSession = newest.session
    this.#context.emit({
      type: 'heard',
      session: newest.session,
      sentAt: newest.sentAt,
      clusterTime: newest.clusterTime,
    })
  }

  #forward(): void {
    const session = this.#session()
    const { leader } = this.#context.raft
    if (session === null || leader === null || !this.#latest) return
    const { monotonic, wall } = this.#latest
    this.#context.send(leader, { type: 'alive', session, monotonic, wall })
  }
}
