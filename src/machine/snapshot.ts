import * as v from 'valibot'
import { decode, encode } from '../shared/codec.js'
import { outcomeSchema, registered } from './registry.js'
import { bytes, id, incarnation, label, natural, positive, successorSchema } from './schema.js'
import { settingsSchema } from './settings.js'
import { createMachine, type MachineState, type Session } from './state.js'
import { tokenBaseMax } from './token-base.js'
import { machineVersion, NewerMachineError } from './version.js'

const sessionSchema = v.strictObject({
  id: positive,
  peerId: id,
  incarnation,
  attempt: natural,
  browserId: label,
  state: v.nullable(bytes),
  lastNumber: natural,
  answered: natural,
  /** Of the numbers from `answered + 1` on. */
  answers: v.array(outcomeSchema),
})

const entryId = v.strictObject({ term: natural, index: natural })

const machineSchema = v.strictObject({
  version: positive,
  clusterTime: natural,
  appliedIndex: natural,
  appliedTerm: natural,
  roomId: v.nullable(id),
  tokenBase: v.pipe(natural, v.maxValue(tokenBaseMax)),
  settings: v.nullable(settingsSchema),
  foundedAt: natural,
  lastCommand: entryId,
  /** Absent while there are none. */
  branches: v.exactOptional(
    v.pipe(v.array(v.strictObject({ forkId: id, members: positive, lastCommand: entryId })), v.minLength(1)),
  ),
  successor: v.nullable(successorSchema),
  /** Sorted by id. */
  sessions: v.array(sessionSchema),
  /** In their order, which decides who is forgotten first. */
  peers: v.array(v.strictObject({ peerId: id, incarnation, attempt: natural, session: positive })),
  primitives: v.record(v.string(), v.unknown()),
})

/** The whole state, answers included (S-10). Equal states give equal bytes, whatever way they came about. */
export function encodeMachine(state: MachineState): Uint8Array {
  const {
    version,
    clusterTime,
    appliedIndex,
    appliedTerm,
    roomId,
    tokenBase,
    settings,
    foundedAt,
    lastCommand,
    branches,
    successor,
  } = state
  return encode({
    version,
    clusterTime,
    appliedIndex,
    appliedTerm,
    roomId,
    tokenBase,
    settings,
    foundedAt,
    lastCommand,
    ...(branches.length > 0 && { branches: [...branches] }),
    successor,
    sessions: [...state.sessions.values()]
      .sort((a, b) => a.id - b.id)
      .map(({ answers, ...session }) => ({ ...session, answers: [...answers.values()] })),
    peers: [...state.peers].map(([peerId, record]) => ({ peerId, ...record })),
    primitives: Object.fromEntries(
      registered.flatMap(([name, primitive]) => {
        const part = primitive.save(state)
        return part === undefined ? [] : [[name, part]]
      }),
    ),
  })
}

/** All that code of any version has to know of a snapshot. */
const versionSchema = v.looseObject({ version: positive })

/**
 * The state back. Throws on anything that `encodeMachine` cannot have given: a peer that gets it changes nothing. Throws a
 * `NewerMachineError` for a state above version `canApply` (F5), whatever else is in it.
 */
export function decodeMachine(data: Uint8Array, canApply: number = machineVersion): MachineState {
  const saved = decode(data)
  const { version } = v.parse(versionSchema, saved)
  if (version > canApply) throw new NewerMachineError(version, canApply)
  const { sessions, peers, primitives, ...plain } = v.parse(machineSchema, saved)
  const state: MachineState = { ...createMachine(), ...plain }
  for (const session of sessions) state.sessions.set(session.id, loadSession(session))
  for (const { peerId, ...record } of peers) state.peers.set(peerId, record)
  for (const { id, peerId } of sessions) {
    if (state.peers.get(peerId)?.session !== id) throw new TypeError('a snapshot has a session of no known peer')
  }
  for (const [name, primitive] of registered) primitive.load(state, primitives[name])
  // One comparison stands for every rule of order and uniqueness.
  if (!equal(encodeMachine(state), data)) throw new TypeError('a snapshot is not in its canonical form')
  return state
}

function loadSession({ answers, ...session }: v.InferOutput<typeof sessionSchema>): Session {
  if (session.lastNumber - session.answered !== answers.length) {
    throw new TypeError('a snapshot has a session with answers missing')
  }
  return { ...session, answers: new Map(answers.map((outcome, i) => [session.answered + 1 + i, outcome])) }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
