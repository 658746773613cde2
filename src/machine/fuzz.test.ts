/**
 * Well-formed instructions in no order at all, with any times and terms, under settings that are soon exhausted. Logs that make
 * sense, damaged bytes and damaged snapshots are in `snapshot.test.ts` and `machine.test.ts`.
 */
import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Entry } from '../raft/entry.js'
import type { Command, Instruction } from './command.js'
import { decodeInstruction, encodeInstruction } from './instruction.js'
import { applyEntry, createMachine, decodeMachine, encodeMachine, type MachineState } from './machine.js'
import { defaultLimits, defaultSettings, defaultTiming, durationMax } from './settings.js'
import type { Comparison, TransactionOperation } from './store/command.js'
import { lock, swap, transaction } from './test-script.js'
import { tokenBaseMax } from './token-base.js'
import { machineVersion, versionNeeded } from './version.js'

const big = fc.constantFrom(0, 1, 2 ** 31, 2 ** 32, 2 ** 40, Number.MAX_SAFE_INTEGER)
const few = fc.oneof({ weight: 8, arbitrary: fc.nat(6) }, { weight: 1, arbitrary: big })
const fromOne = few.map((n) => Math.max(1, n))
const name = fc.constantFrom('a', 'b', 'c', '', '\ud800', '\ufeff', '__proto__', 'constructor', 'x'.repeat(1025))
const peerId = fc.constantFrom('ann', 'bob', 'cid', '__proto__', 'constructor')
const bytes = fc.oneof(
  { weight: 60, arbitrary: fc.uint8Array({ maxLength: 4 }) },
  { weight: 1, arbitrary: fc.constant(new Uint8Array(65_537)) },
)
const incarnation = fc.record({ counter: few, nonce: fc.constantFrom('', 'n', '\ud800') })
const fence = fc.option(fc.record({ name, token: few }))

const expected = fc.oneof(fc.record({ revision: few }), fc.record({ value: bytes }))
const is = fc.constantFrom('=' as const, '!=' as const)
const comparison: fc.Arbitrary<Comparison> = fc.oneof(
  fc.record({ key: name, is: fc.constantFrom('=', '!=', '<', '>'), revision: few }),
  fc.record({ key: name, is, value: bytes }),
)
const operation: fc.Arbitrary<TransactionOperation> = fc.oneof(
  fc.record({ type: fc.constant('set' as const), key: name, value: bytes, fence, ephemeral: fc.boolean() }),
  fc.record({ type: fc.constant('delete' as const), key: name, fence }),
  fc.record({ type: fc.constant('get' as const), key: name }),
)

const request = fc
  .record({
    mode: fc.constantFrom('exclusive' as const, 'shared' as const, 'shared' as const),
    ifAvailable: fc.boolean(),
    steal: fc.nat(5).map((n) => n === 0),
    lease: fc.constantFrom(1, 50, 10_000, durationMax, 0, -1, durationMax + 1, Number.MIN_SAFE_INTEGER),
    attributes: fc.option(bytes),
    name,
  })
  .map(({ name, ...options }): Command => lock(name, options))
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 5, arbitrary: request },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('lock.release' as const), request: fromOne }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('store.set' as const),
      key: name,
      value: bytes,
      fence,
      ephemeral: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('store.delete' as const), key: name, fence }) },
  { weight: 3, arbitrary: fc.tuple(name, expected, bytes).map((drawn): Command => swap(...drawn)) },
  {
    weight: 3,
    arbitrary: fc
      .record({
        compare: fc.array(comparison, { maxLength: 2 }),
        success: fc.array(operation, { maxLength: 3 }),
        failure: fc.array(operation, { maxLength: 3 }),
        fence,
      })
      .map(transaction),
  },
)

const tiny = {
  ...defaultSettings,
  timing: { ...defaultTiming, lease: 3 },
  limits: { ...defaultLimits, locks: 2, lockQueue: 1 },
}
const instruction: fc.Arbitrary<Instruction> = fc.oneof(
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('found' as const),
      roomId: fc.constantFrom('room', '\ud800'),
      tokenBase: fc.constantFrom(0, 1, tokenBaseMax),
      settings: fc.constantFrom(tiny, defaultSettings),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('fork' as const),
      epoch: fc.constantFrom(1, 2),
      forkId: fc.constantFrom('f', 'g'),
      seconds: fc.constantFrom(0, 1, 2 ** 40),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('open' as const),
      peerId,
      incarnation,
      attempt: few,
      browserId: fc.constantFrom('', 'browser'),
      state: fc.option(fc.uint8Array({ maxLength: 4 })),
      tokenFloor: fc.constantFrom(0, 1, tokenBaseMax),
    }),
  },
  {
    weight: 20,
    arbitrary: fc
      .record({ type: fc.constant('numbered' as const), session: fromOne, number: fromOne, answered: few, command })
      .map((drawn): Instruction => {
        const needs = versionNeeded(drawn.command)
        return { ...drawn, ...(needs > 1 && { needs }), answered: Math.min(drawn.answered, drawn.number - 1) }
      }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('close' as const), peerId, incarnation }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('expire' as const), session: fromOne, silence: few, term: fc.nat(2) }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('tick' as const), term: few }) },
)

const what = fc.oneof(
  { weight: 20, arbitrary: instruction },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 30 }) },
)
const time = fc.oneof(
  fc.nat(100),
  fc.constantFrom(-1, 0.5, -0, Number.NaN, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, 2 ** 53, 2 ** 52, 1e308),
)
interface Slot {
  readonly time: number
  readonly term: number
  readonly what: Instruction | Uint8Array
  /** A command is the one that its session expects: else nearly all would be refused. */
  readonly isNext: boolean
}
const isNext = fc.nat(3).map((n) => n > 0)
const slot: fc.Arbitrary<Slot> = fc.record({ time, term: fc.nat(2), what, isNext })
const log = fc.array(slot, { maxLength: 60, size: 'max' })

/** A room with two sessions, of the entries 1 and 2, and with the newest machine; or nothing at all. */
const opened = ['ann', 'bob'].map((peerId): Slot => {
  const incarnation = { counter: 1, nonce: 'n' }
  const open = { type: 'open', peerId, incarnation, attempt: 1, browserId: '', state: null, tokenFloor: 0 } as const
  return { time: 0, term: 0, what: open, isNext: false }
})
const raised: Slot = { time: 0, term: 0, what: { type: 'raise', version: machineVersion }, isNext: false }
const begin = fc.constantFrom<readonly Slot[]>([...opened, raised], opened, [])

function nextEntry(state: MachineState, { time, term, what, isNext }: Slot): Entry {
  const slot = { type: 'command', term, index: state.appliedIndex + 1, time } as const
  if (what instanceof Uint8Array) return { ...slot, data: what }
  const session = what.type === 'numbered' && isNext ? state.sessions.get(what.session) : undefined
  if (what.type !== 'numbered' || !session) return { ...slot, data: encodeInstruction(what) }
  const number = session.lastNumber + 1
  return { ...slot, data: encodeInstruction({ ...what, number, answered: Math.min(what.answered, number - 1) }) }
}

/** A matcher would compare byte by byte, which takes its time. */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

it('what is well-formed comes back as it was, in the same bytes', () => {
  fc.assert(
    fc.property(instruction, (instruction) => {
      const bytes = encodeInstruction(instruction)
      const back = decodeInstruction(bytes)
      expect(back?.type).toBe(instruction.type)
      expect(back !== null && isSame(encodeInstruction(back), bytes)).toBe(true)
    }),
    { numRuns: 300 },
  )
})

it('[S-10] instructions in no order: nothing throws, time never goes back, and whoever restores anywhere says the same', () => {
  fc.assert(
    fc.property(begin, log, fc.nat(60), (begin, log, cut) => {
      const state = createMachine()
      let restored = createMachine()
      for (const slot of [...begin, ...log]) {
        const { clusterTime } = state
        const entry = nextEntry(state, slot)
        const applied = applyEntry(state, entry)
        expect(applyEntry(restored, entry)).toEqual(applied)
        expect(state.clusterTime).toBeGreaterThanOrEqual(clusterTime)
        // Each log is cut at one place, and then again and again.
        if (entry.index % (cut + 1) === 0) {
          const bytes = encodeMachine(state)
          restored = decodeMachine(bytes)
          expect(isSame(encodeMachine(restored), bytes)).toBe(true)
        }
      }
      expect(isSame(encodeMachine(restored), encodeMachine(state))).toBe(true)
      expect(decodeMachine(encodeMachine(state))).toEqual(state)
    }),
    { numRuns: 120 },
  )
})

it('the logs are worth their name: what they do is not only refused', () => {
  const told = new Set<string>()
  const swaps = new Set<boolean>()
  for (const [first, rest] of fc.sample(fc.tuple(begin, log), { numRuns: 1_000, seed: 1 })) {
    const state = createMachine()
    for (const slot of [...first, ...rest]) {
      const { events, answer } = applyEntry(state, nextEntry(state, slot))
      for (const { type } of events) told.add(type)
      if (answer?.outcome) told.add(answer.outcome.type)
      if (answer?.outcome?.type === 'store.compared') swaps.add(answer.outcome.swapped)
    }
  }
  const words = [
    'session.opened',
    'session.ended',
    'lock.granted',
    'lock.queued',
    'lock.lost',
    'store.set',
    'failed',
    'store.transacted',
  ]
  expect([...told]).toEqual(expect.arrayContaining(words))
  expect(swaps).toEqual(new Set([true, false]))
})
