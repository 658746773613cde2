import { expect, it } from 'vitest'
import type { ProgressStatus } from '../raft/ready.js'
import { CatchUp } from './catch-up.js'

function progressOf(change: Partial<ProgressStatus>): ProgressStatus {
  const { peerId, matchIndex } = { peerId: 'l', matchIndex: 100 }
  const progress = { peerId, matchIndex, nextIndex: 101, active: true, round: 1, inReserve: false, snapshot: null }
  return { ...progress, state: 'replicate', ...change }
}

/** What is answered for a row of states of one learner: a dot for not yet. */
function answers(states: readonly (Partial<ProgressStatus> | undefined)[], catchUp = new CatchUp()): string {
  return states.map((state) => (catchUp.keepsUp('l', state && progressOf(state), 100, false) ? 'x' : '.')).join('')
}

it('[M4][S56] a learner is promoted after it has kept up for three rounds that it has answered', () => {
  expect(answers([{ round: 7 }, { round: 8 }, { round: 9 }, { round: 10 }, { round: 11 }])).toBe('...xx')
})

it('[M4][S56] rounds that it does not answer do not count: one that is stalled stays a learner', () => {
  expect(answers(Array.from({ length: 20 }, () => ({ round: 7 })))).toBe('.'.repeat(20))
})

it('[M4][S56] up to 64 entries behind is kept up, 65 are not', () => {
  expect(answers([{ matchIndex: 36 }, { matchIndex: 36, round: 4 }])).toBe('.x')
  expect(answers([{ matchIndex: 35 }, { matchIndex: 35, round: 4 }])).toBe('..')
})

it.each<[string, Partial<ProgressStatus> | undefined]>([
  ['falls back', { matchIndex: 10, round: 5 }],
  ['has to be probed', { state: 'probe', round: 5 }],
  ['needs a snapshot', { state: 'snapshot', round: 5 }],
  ['is no member for a while', undefined],
])('[S56] one that %s begins anew', (_title, break_) => {
  const rows = [{ round: 1 }, { round: 4 }, break_, { round: 6 }, { round: 8 }, { round: 9 }]
  expect(answers(rows)).toBe('.x...x')
})

it('[M4][S56] a new leader counts for itself, and each learner for itself', () => {
  const catchUp = new CatchUp()
  expect(answers([{ round: 1 }, { round: 4 }], catchUp)).toBe('.x')
  expect(catchUp.keepsUp('other', progressOf({ peerId: 'other', round: 4 }), 100, false)).toBe(false)
  catchUp.restart()
  expect(answers([{ round: 4 }, { round: 7 }], catchUp)).toBe('.x')
})

it.each<[string, boolean, Partial<ProgressStatus>]>([
  ['who has it', true, { matchIndex: 36 }],
  ['not who falls back', false, { matchIndex: 35 }],
  ['nor who has to be probed', false, { state: 'probe' }],
])('[S-4] in the last look of a leader that stops it is enough to have the log: %s', (_title, wanted, state) => {
  expect(new CatchUp().keepsUp('l', progressOf(state), 100, true)).toBe(wanted)
})
