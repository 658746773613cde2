import type { Incarnation } from '../../raft/entry.js'
import type { Instruction } from '../command.js'
import type { Applied, Outcome } from '../outcome.js'
import { applyCommand, registered } from '../registry.js'
import type { Context, MachineState, PeerRecord, Session } from '../state.js'
import { answersMax, peersMax } from './limits.js'
import { longestLease } from './view.js'

type Of<T extends Instruction['type']> = Extract<Instruction, { readonly type: T }>

/** S-1. */
export function open(context: Context, instruction: Of<'open'>): Applied['opened'] {
  const { state } = context
  const { peerId, incarnation, attempt } = instruction
  const newest = state.peers.get(peerId)
  if (newest) {
    const order = compareLives(instruction, newest)
    if (order === 'same') {
      return { peerId, incarnation, attempt, session: state.sessions.has(newest.session) ? newest.session : null }
    }
    if (order === 'refused') return { peerId, incarnation, attempt, session: null }
    const older = state.sessions.get(newest.session)
    if (older) endSession(context, older, 'replaced', true)
  }
  const session = context.index
  state.sessions.set(session, {
    id: session,
    peerId,
    incarnation,
    attempt,
    browserId: instruction.browserId,
    state: instruction.state,
    lastNumber: 0,
    answered: 0,
    answers: new Map(),
  })
  // Deleted first, so that it goes to the end: the order is that of the last `open`.
  state.peers.delete(peerId)
  state.peers.set(peerId, { incarnation, attempt, session })
  forgetPeers(state)
  context.events.push({ type: 'session.opened', session, peerId })
  return { peerId, incarnation, attempt, session }
}

interface Life {
  readonly incarnation: Incarnation
  readonly attempt: number
}

/** F2: one counter with two nonces is a copied store; the second to come is refused, whatever its attempt. */
function compareLives(life: Life, newest: PeerRecord): 'newer' | 'same' | 'refused' {
  const counters = life.incarnation.counter - newest.incarnation.counter
  if (counters > 0) return 'newer'
  if (counters < 0 || life.incarnation.nonce !== newest.incarnation.nonce) return 'refused'
  if (life.attempt === newest.attempt) return 'same'
  return life.attempt > newest.attempt ? 'newer' : 'refused'
}

/** A peer with a living session is never forgotten: it could open a second one. */
function forgetPeers({ peers, sessions }: MachineState): void {
  for (const [peerId, { session }] of peers) {
    if (peers.size <= peersMax) return
    if (!sessions.has(session)) peers.delete(peerId)
  }
}

/** S-2. Undefined when the answer was forgotten because the client had it: nobody waits for it. */
export function numbered(context: Context, instruction: Of<'numbered'>): Applied['answer'] {
  const { session: id, number } = instruction
  const session = context.state.sessions.get(id)
  if (!session) return { session: id, number, outcome: null, reason: 'session-ended' }
  forgetAnswers(session, instruction.answered)
  if (number <= session.lastNumber) {
    const outcome = session.answers.get(number)
    return outcome && { session: id, number, outcome }
  }
  if (number > session.lastNumber + 1 || session.answers.size >= answersMax) {
    return { session: id, number, outcome: null, reason: 'gap' }
  }
  const outcome = refusedByVersion(context.state, instruction) ?? perform(context, instruction)
  session.lastNumber = number
  context.state.lastCommand = { term: context.term, index: context.index }
  session.answers.set(number, outcome)
  return { session: id, number, outcome }
}

function perform(context: Context, { session, number, command }: Of<'numbered'>): Outcome {
  if (command === null) {
    const message = 'the command is none that this version of the machine has'
    return { type: 'failed', failure: { code: 'incompatible-peer', message } }
  }
  return applyCommand(context, { session, number }, command)
}

/** F5: the same answer by code that knows the command and by code that does not. */
function refusedByVersion({ version }: MachineState, { needs = 1 }: Of<'numbered'>): Outcome | null {
  if (needs <= version) return null
  const message = `the command needs version ${needs} of the room's machine, which is ${version} until every member can apply more`
  return { type: 'failed', failure: { code: 'incompatible-peer', message, details: { needs, version } } }
}

function forgetAnswers(session: Session, answered: number): void {
  const until = Math.min(answered, session.lastNumber)
  while (session.answered < until) {
    session.answered += 1
    session.answers.delete(session.answered)
  }
}

/** M1, L2: ends the life that it names, never another one: not a later one, and not that of a copied store. */
export function close(context: Context, { peerId, incarnation, proof }: Of<'close'>): void {
  // F5: to the first version a proof is garbage.
  if (proof && context.state.version < 2) return
  const record = context.state.peers.get(peerId)
  const session = record && context.state.sessions.get(record.session)
  if (!session || session.incarnation.counter > incarnation.counter) return
  // One counter with two nonces is two lives of a copied store (F2): the death of one says nothing of the other.
  if (session.incarnation.counter === incarnation.counter && session.incarnation.nonce !== incarnation.nonce) return
  endSession(context, session, 'closed', proof === 'death')
}

/** S-3, S-6. The session's own fate is judged by what it holds before anything of it ends. */
export function expire(context: Context, { session: id, silence, term }: Of<'expire'>): void {
  const session = context.state.sessions.get(id)
  if (!session || term !== context.term) return
  if (silence >= longestLease(context.state, id)) {
    endSession(context, session, 'expired', true)
    return
  }
  for (const [, primitive] of registered) primitive.sessionSilent(context, id, silence)
}

function endSession(
  context: Context,
  session: Session,
  reason: 'closed' | 'expired' | 'replaced',
  unclean: boolean,
): void {
  const { id, peerId } = session
  for (const [, primitive] of registered) {
    primitive.sessionEnded(context, id, reason === 'expired' ? 'expired' : 'left', unclean)
  }
  context.state.sessions.delete(id)
  context.events.push({ type: 'session.ended', session: id, peerId, reason })
}
