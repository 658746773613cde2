import type { Entry } from '../raft/entry.js'
import { assert, unreachable } from '../shared/assert.js'
import type { Instruction } from './command.js'
import { fireDue } from './deadlines.js'
import { decodeInstruction, tokensPerSecond } from './instruction.js'
import type { Applied } from './outcome.js'
import { waitsBeside } from './registry.js'
import { close, expire, numbered, open } from './session/apply.js'
import type { Context, MachineState } from './state.js'
import { raiseTokenBase } from './token-base.js'
import { machineVersion, NewerMachineError } from './version.js'

/** What a history that was left can give away before it hears of this one: an entry has a token or two, and a second some thousand entries. */
const tokensApart = 2 ** 32

export { decodeMachine, encodeMachine } from './snapshot.js'
export { createMachine, type MachineState } from './state.js'

/**
 * Applies the next committed entry and says what it changed. Deterministic: the same entries in the same order give the
 * same state and the same answers on every peer. Bytes that are no instruction change nothing but index and time. Throws, before
 * anything has changed, on one thing that an entry may carry: a version of the machine above `canApply` (F5), by `NewerMachineError`.
 */
export function applyEntry(state: MachineState, entry: Entry, canApply: number = machineVersion): Applied {
  assert(
    entry.index === state.appliedIndex + 1,
    `entries are applied in order: expected index ${state.appliedIndex + 1}, got ${entry.index}`,
  )
  const instruction = entry.type === 'command' ? decodeInstruction(entry.data) : null
  if (instruction?.type === 'raise' && instruction.version > canApply)
    throw new NewerMachineError(instruction.version, canApply)
  state.appliedIndex = entry.index
  state.appliedTerm = entry.term
  advanceTime(state, entry.time)
  const context: Context = {
    state,
    index: entry.index,
    term: entry.term,
    events: [],
    lateEvents: new Map(),
    lockEvents: [],
    grants: 0,
    waitsBeside,
  }
  // N2, N3: it has ended. Who waits for an answer learns that there will be none.
  if (state.successor) return { events: [] }
  // C1, T1: what is due is over before anything is granted, whatever the entry is.
  fireDue(context)
  const said = instruction ? applyInstruction(context, instruction) : {}
  const { events, lateEvents, lockEvents } = context
  return { ...said, events: [...events, ...lateEvents.values()], ...(lockEvents.length > 0 && { lockEvents }) }
}

/** C1: never back, and whole milliseconds. */
function advanceTime(state: MachineState, time: number): void {
  const whole = Math.floor(time)
  if (Number.isSafeInteger(whole) && whole > state.clusterTime) state.clusterTime = whole
}

function applyInstruction(context: Context, instruction: Instruction): Omit<Applied, 'events'> {
  switch (instruction.type) {
    case 'found':
      found(context.state, instruction)
      return {}
    case 'fork':
      fork(context, instruction)
      return {}
    case 'yield':
      endHistory(context.state, instruction)
      return {}
    case 'open': {
      raiseTokens(context, instruction.tokenFloor)
      const opened = open(context, instruction)
      return opened ? { opened } : {}
    }
    case 'numbered': {
      const answer = numbered(context, instruction)
      return answer ? { answer } : {}
    }
    case 'close':
      close(context, instruction)
      return {}
    case 'expire':
      expire(context, instruction)
      return {}
    case 'tick':
      // S-6: an entry of its own is all that it is. What is due by the entry's time has happened by now (C1).
      return {}
    case 'raise':
      // Never back: a raise that was proposed twice is one.
      context.state.version = Math.max(context.state.version, instruction.version)
      return {}
    default:
      return unreachable(instruction)
  }
}

/** N1: once. A second founding of the same log can only be a stray retry. */
function found(state: MachineState, { roomId, tokenBase, settings }: Extract<Instruction, { type: 'found' }>): void {
  if (state.roomId !== null) return
  state.roomId = roomId
  state.tokenBase = tokenBase
  state.settings = settings
  state.foundedAt = Math.floor(tokenBase / tokensPerSecond)
}

/** N2, N3: of two histories that meet at most one ends. */
function endHistory(state: MachineState, { to, lastCommand }: Extract<Instruction, { type: 'yield' }>): void {
  if (lastCommand === null || lastCommand === state.lastCommand.index) state.successor ??= to
}

/** T1: above every token that is known, and above those that the history that was left may have given since. */
function fork({ state, index }: Context, instruction: Extract<Instruction, { type: 'fork' }>): void {
  const { forkId, seconds, members = 1 } = instruction
  state.branches = [...state.branches, { forkId, members, lastCommand: state.lastCommand }]
  raiseTokenBase(state, Math.max(seconds * tokensPerSecond, state.tokenBase + index + tokensApart))
}

/** T1, N2: a peer has come over from a history in which higher tokens may have been given than it knows, as high as this one's or higher. */
function raiseTokens({ state, index }: Context, floor: number): void {
  if (floor > 0 && floor + tokensApart >= state.tokenBase + index) raiseTokenBase(state, floor + tokensApart)
}
