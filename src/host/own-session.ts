/**
 * This peer's session: opened by a command, its commands numbered, retried until answered and applied once (S-1, S-2).
 */
import type { Command, Instruction, SessionId } from '../machine/command.js'
import { encodeInstruction } from '../machine/instruction.js'
import type { Applied, Outcome } from '../machine/outcome.js'
import { type SessionView, storedAnswer } from '../machine/session/view.js'
import type { Failure } from '../shared/failure.js'
import { elapsedAtMost, type Instant } from '../shared/instant.js'
import type { HostContext } from './context.js'
import { sameIncarnation } from './frame.js'
import { isAboutRequest, isRequest } from './requests.js'

/** At most this many commands are sent and unanswered: the machine keeps no more answers (S-2). */
const windowSize = 128
/**
 * None is added to so many bytes of them: in one frame, sent again, they must neither keep heartbeats waiting for long nor be more than a leader
 * takes at once.
 */
const windowBytes = 256 * 1024
/** While more than this waits on the link to the leader, bytes, what was sent may be among it, and is not sent again. */
const buried = 64 * 1024
/** A command unanswered for this long is sent again, ms, or later where links are slow (M5). Retries are harmless, only noise. */
const retryAfter = 500
const nothing = new Uint8Array()

interface Pending {
  readonly command: Command
  /** Null until it has its place in the session. */
  number: number | null
  /** As it is sent and sent again; nothing until it has its number. */
  encoded: Uint8Array
  /** It frees something, so no limit may refuse it. */
  readonly exempt: boolean
  readonly numbered: (number: number) => void
  readonly wanted: () => boolean
  settle: (result: Outcome | Failure) => void
}

export interface SubmitOptions {
  readonly exempt?: boolean
  /** Told the command's number as soon as it has one; again with another if it is moved to a later session. */
  readonly numbered?: (number: number) => void
  /** Asked before a lock request is made again in a later session: false when its page has let go of it. */
  readonly wanted?: () => boolean
  /** Told once: the machine's outcome, or why there will be none. */
  readonly settle: (result: Outcome | Failure) => void
}

export interface OwnSessionOptions {
  /** How many commands may wait for their answers before the next one is refused. */
  readonly pendingMax: () => number
  /** First declared state, encoded. */
  readonly state: Uint8Array | null
  /** The highest token that this browser knows of histories that have ended (T1). */
  readonly tokenFloor: number
  /** A session is open, and nothing of an earlier one is left. */
  readonly opened: (session: SessionId) => void
  /** The session has ended while this peer lives; a new one will be opened. */
  readonly ended: (session: SessionId) => void
}

export class OwnSession {
  readonly #context: HostContext
  readonly #options: OwnSessionOptions
  /** Zero until the first session is asked for. */
  #attempt = 0
  #id: SessionId | null = null
  #lastNumber = 0
  #answered = 0
  #waiting: Pending[] = []
  #sent: Pending[] = []
  #unsent = 0
  #sentAt: Instant | null = null
  #wanted = false
  #closing = false

  constructor(context: HostContext, options: OwnSessionOptions) {
    this.#context = context
    this.#options = options
  }

  get id(): SessionId | null {
    return this.#id
  }

  /** The number of the last command that was sent: what a goodbye names (M1). */
  get lastNumber(): number {
    return this.#lastNumber
  }

  get pending(): number {
    return this.#waiting.length + this.#sent.length
  }

  /** For its session to open, or for an answer. */
  get isWaiting(): boolean {
    return this.#wanted && (this.#id === null || this.pending > 0)
  }

  /** True once every command that was submitted before now is answered: a read after them sees what they did. */
  barrier(): () => boolean {
    const before = [...this.#sent, ...this.#waiting]
    let open = before.length === 0
    return () => {
      open ||= before.every((pending) => !this.#sent.includes(pending) && !this.#waiting.includes(pending))
      return open
    }
  }

  /** From now on there shall be a session. */
  open(): void {
    this.#wanted = true
    if (this.#attempt === 0) this.#attempt = 1
    this.#send(true)
  }

  /** No further session; the present one is being closed by a goodbye. */
  close(): void {
    this.#closing = true
  }

  submit(command: Command, options: SubmitOptions): void {
    const max = this.#options.pendingMax()
    const public_ = [...this.#waiting, ...this.#sent].filter((pending) => !pending.exempt).length
    if (!options.exempt && public_ >= max) {
      const message = `${public_} commands are waiting for their answers, and ${max} may (limit pendingProposals)`
      options.settle({ code: 'limit-exceeded', message, details: { limit: 'pendingProposals', value: max } })
      return
    }
    this.#waiting.push({
      command,
      number: null,
      encoded: nothing,
      exempt: options.exempt ?? false,
      numbered: options.numbered ?? (() => {}),
      wanted: options.wanted ?? (() => true),
      settle: options.settle,
    })
    this.#send(false)
  }

  /** Takes back a command that has not been sent: true if it was there. */
  withdraw(settle: SubmitOptions['settle']): boolean {
    const at = this.#waiting.findIndex((pending) => pending.settle === settle)
    if (at < 0) return false
    this.#waiting.splice(at, 1)
    return true
  }

  /** A leader has come up: what it may not have seen is sent again. */
  leaderChanged(): void {
    this.#send(true)
  }

  tick(): void {
    if (!this.#outstanding()) return
    const { raft, peers } = this.#context
    // Counted from when it was gone: over a slow link repeats would only keep the rest from getting through.
    if (this.#sentAt && raft.leader !== null && peers.buffered(raft.leader, 'control') > buried)
      this.#sentAt = this.#context.now
    if (this.#sentAt && elapsedAtMost(this.#sentAt, this.#context.now) < Math.max(retryAfter, this.#context.patience))
      return
    this.#send(true)
  }

  applied(applied: Applied): void {
    const { self } = this.#context
    const { opened } = applied
    // S-1: a restarted peer replays its log, and in it the sessions that its earlier lives opened.
    if (opened?.peerId === self.peerId && sameIncarnation(opened.incarnation, self.incarnation)) this.#opened(opened)
    const { answer } = applied
    if (answer && answer.session === this.#id) {
      if (answer.outcome) this.#answer(answer.number, answer.outcome)
      // A forwarded command was lost on the way: the whole row again, in order.
      else if (answer.reason === 'gap') this.#sentAt = null
    }
    for (const event of applied.events) {
      if (event.type === 'session.ended' && event.session === this.#id) this.#end(event.session)
    }
  }

  /** The machine was replaced by a snapshot: what it says of this session happened unseen (S-10). */
  reconcile(session: SessionView | null): void {
    const { self, machine } = this.#context
    if (this.#id !== null && session?.session !== this.#id) this.#end(this.#id)
    const isMine = session?.attempt === this.#attempt && sameIncarnation(session.incarnation, self.incarnation)
    if (isMine && this.#id === null && this.#wanted) this.#begin(session.session)
    for (const pending of [...this.#sent]) {
      if (this.#id === null || pending.number === null) break
      const outcome = storedAnswer(machine, this.#id, pending.number)
      if (outcome) this.#answer(pending.number, outcome)
    }
  }

  /** This host will do nothing any more: everything that waits is told so. */
  fail(failure: Failure): void {
    const all = [...this.#sent, ...this.#waiting]
    this.#sent = []
    this.#waiting = []
    for (const { settle } of all) settle(failure)
  }

  /**
   * N3: what was sent may have been done in the history that was left, and is done in this one. A lock is asked for here and now,
   * and its grant says where it holds.
   */
  wentOver(): void {
    for (const pending of this.#sent) {
      if (isRequest(pending.command) || isAboutRequest(pending.command)) continue
      pending.settle(unknownOutcome(this.#id, 'the room began a new history'))
      pending.settle = () => {}
    }
  }

  #opened({ attempt, session }: NonNullable<Applied['opened']>): void {
    if (attempt !== this.#attempt) return
    if (session !== null) this.#begin(session)
    else if (this.#id === null) this.#attempt += 1
  }

  #begin(session: SessionId): void {
    if (this.#id === session) return
    this.#id = session
    this.#lastNumber = 0
    this.#answered = 0
    this.#unsent = 0
    this.#options.opened(session)
    this.#send(false)
  }

  #end(session: SessionId): void {
    const sent = this.#sent
    this.#id = null
    this.#sent = []
    this.#unsent = 0
    if (this.#closing) this.#wanted = false
    this.#attempt += 1
    const again: Pending[] = []
    for (const pending of sent) {
      // What a request got has ended with the session, so asking again takes nothing twice; a release has no object left.
      if (isRequest(pending.command)) {
        if (pending.wanted()) again.push(Object.assign(pending, { number: null }))
        else pending.settle({ type: 'lock.unavailable' })
      } else if (isAboutRequest(pending.command)) pending.settle({ type: 'lock.released' })
      else pending.settle(unknownOutcome(session, `session ${session} ended`))
    }
    this.#waiting = [...again, ...this.#waiting.filter((pending) => !this.#isVoid(pending))]
    this.#options.ended(session)
    this.#send(true)
  }

  /** It names a request of the session that has ended. */
  #isVoid(pending: Pending): boolean {
    if (!isAboutRequest(pending.command)) return false
    pending.settle({ type: 'lock.released' })
    return true
  }

  #answer(number: number, outcome: Outcome): void {
    const first = this.#sent[0]
    if (first?.number !== number) return
    this.#sent.shift()
    this.#unsent = Math.max(0, this.#unsent - 1)
    this.#answered = number
    first.settle(outcome)
    this.#send(false)
  }

  #outstanding(): boolean {
    return this.#wanted && (this.#id === null || this.#sent.length > 0)
  }

  /** `again`: also what was sent before. The next gets its number only while the window has room for it. */
  #send(again: boolean): void {
    if (!this.#wanted) return
    if (this.#id === null) {
      if (again) this.#transmit([this.#openInstruction()])
      return
    }
    let bytes = this.#sent.reduce((sum, { encoded }) => sum + encoded.byteLength, 0)
    while (this.#sent.length < windowSize && bytes < windowBytes) {
      const next = this.#waiting.shift()
      if (!next) break
      if (this.#isRefused(next)) continue
      this.#lastNumber += 1
      next.number = this.#lastNumber
      next.encoded = this.#encode(this.#id, this.#lastNumber, next.command)
      bytes += next.encoded.byteLength
      this.#sent.push(next)
      next.numbered(this.#lastNumber)
    }
    const from = again ? 0 : this.#unsent
    const instructions = this.#sent.slice(from).map(({ encoded }) => encoded)
    if (instructions.length > 0) this.#transmit(instructions)
  }

  #encode(session: SessionId, number: number, command: Command): Uint8Array {
    const needs = this.#context.abilities.versionNeeded(command)
    const numbered = { type: 'numbered', session, number, answered: this.#answered, command } as const
    return encodeInstruction(needs > 1 ? { ...numbered, needs } : numbered)
  }

  /**
   * F5: told here, since an older leader could not even read it. Only in a session: before there is one this peer may be behind the room, whose
   * version it does not know then.
   */
  #isRefused({ command, settle }: Pending): boolean {
    const needs = this.#context.abilities.versionNeeded(command)
    const { version } = this.#context.machine
    if (needs <= version) return false
    const message = `${command.type} needs version ${needs} of the room's machine, which is ${version} until every member can apply more`
    settle({ code: 'incompatible-peer', message, details: { needs, version } })
    return true
  }

  #transmit(instructions: readonly Uint8Array[]): void {
    if (!this.#context.submit(instructions)) return
    this.#sentAt = this.#context.now
    if (this.#id !== null) this.#unsent = this.#sent.length
  }

  #openInstruction(): Uint8Array {
    const { self } = this.#context
    const open: Instruction = {
      type: 'open',
      peerId: self.peerId,
      incarnation: self.incarnation,
      attempt: this.#attempt,
      browserId: self.browserId,
      state: this.#options.state,
      tokenFloor: this.#options.tokenFloor,
    }
    return encodeInstruction(open)
  }
}

function unknownOutcome(session: SessionId | null, why: string): Failure {
  return {
    code: 'outcome-unknown',
    message: `${why} before the answer came: the command may or may not have been applied`,
    details: { retryable: false, ...(session !== null && { session }) },
  }
}
