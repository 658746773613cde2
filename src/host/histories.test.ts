import { describe, expect, it } from 'vitest'
import type { EntryId } from '../raft/entry.js'
import type { Lineage } from '../storage/storage.js'
import { type Claim, type History, splitAt, yieldsTo } from './histories.js'

const founding = (roomId: string): Lineage => ({ roomId, epoch: 0, forkId: '' })
/** A fork that left the founding after entry 9 of term 3. */
const fork = (forkId: string, members = 1, epoch = 1): Lineage => ({
  roomId: 'room',
  epoch,
  forkId,
  foundation: { term: 6, index: 10, previousTerm: 3, members },
})
const none: EntryId = { term: 0, index: 0 }
const at = (index: number, term = 3): EntryId => ({ term, index })
const claim = (lastCommand: EntryId, others: Partial<Claim> = {}): Claim => ({
  hasQuorum: true,
  foundedAt: 100,
  lastCommand,
  ...others,
})
const history = (lineage: Lineage, lastCommand: EntryId, others: Partial<Claim> = {}): History => ({
  lineage,
  claim: claim(lastCommand, others),
})
const lost = { hasQuorum: false }

/** Exactly one of the two yields, whoever is asked. */
function winner(a: History, b: History): 'a' | 'b' | 'neither' {
  const [aYields, bYields] = [yieldsTo(a, b), yieldsTo(b, a)]
  expect(aYields && bYields).toBe(false)
  return aYields ? 'b' : bYields ? 'a' : 'neither'
}

describe('[N2] of two foundings', () => {
  it.each<[string, History, History, string]>([
    ['the elder goes on', history(founding('x'), at(5)), history(founding('a'), at(5), { foundedAt: 101 }), 'a'],
    [
      '... also when neither agreed on anything',
      history(founding('x'), none),
      history(founding('a'), none, { foundedAt: 101 }),
      'a',
    ],
    ['of one second, the smaller id', history(founding('x'), at(5)), history(founding('a'), at(5)), 'b'],
    [
      'the one that agreed on nothing yields, though it is the elder',
      history(founding('x'), none),
      history(founding('a'), at(3), { foundedAt: 200 }),
      'b',
    ],
    [
      'a younger one without a quorum yields',
      history(founding('x'), at(5), lost),
      history(founding('a'), at(5), { foundedAt: 50 }),
      'b',
    ],
    [
      'an elder one without a quorum waits: others may have agreed on what stands in its log',
      history(founding('x'), at(5), lost),
      history(founding('a'), at(5), { foundedAt: 200 }),
      'neither',
    ],
    [
      'one without a quorum whose log has no command comes over, whatever its age: its history may have ended unseen',
      history(founding('x'), none, lost),
      history(founding('a'), none, { foundedAt: 200 }),
      'b',
    ],
    [
      'without any quorum both wait',
      history(founding('x'), at(5), lost),
      history(founding('a'), at(5), lost),
      'neither',
    ],
  ])('%s', (_title, a, b, expected) => {
    expect(winner(a, b)).toBe(expected)
  })
})

describe('[N3] of a history and a fork that left it', () => {
  const room = founding('room')
  it.each<[string, History, History, string]>([
    [
      'the one that kept its quorum goes on, if both agreed on something',
      history(room, at(12)),
      history(fork('f'), at(14, 6)),
      'a',
    ],
    ['the fork that agreed on nothing yields', history(room, at(12)), history(fork('f'), at(8)), 'a'],
    ['the one that agreed on nothing since yields', history(room, at(9)), history(fork('f'), at(14, 6)), 'b'],
    [
      'what it agreed on before the fork began, in a later term, the fork does not have',
      history(room, at(8, 4)),
      history(fork('f'), at(14, 6)),
      'a',
    ],
    ['if neither did, the one that kept its quorum goes on', history(room, at(9)), history(fork('f'), at(9)), 'a'],
    ['a history that has no quorum ends', history(room, at(12), lost), history(fork('f'), at(9)), 'b'],
    ['a fork that has none ends', history(room, at(9)), history(fork('f'), at(14, 6), lost), 'a'],
    ['a fork of a fork is as one that left', history(room, at(12)), history(fork('g', 3, 2), at(14, 6)), 'a'],
  ])('%s', (_title, a, b, expected) => {
    expect(winner(a, b)).toBe(expected)
  })
})

describe('[N3] of two forks', () => {
  it.each<[string, History, History, string]>([
    ['more members go on', history(fork('f', 2), at(14, 6)), history(fork('a', 1), at(14, 6)), 'a'],
    ['of equals the lower id', history(fork('f', 2), at(14, 6)), history(fork('a', 2), at(14, 6)), 'b'],
    [
      'the one that agreed on nothing yields, however many its members',
      history(fork('f', 4), at(9)),
      history(fork('a', 1), at(14, 6)),
      'b',
    ],
  ])('%s', (_title, a, b, expected) => {
    expect(winner(a, b)).toBe(expected)
  })
})

describe('where two histories part', () => {
  const terms = [1, 1, 2, 3, 3, 4, 4, 4, 4, 4, 4]
  const termOf = (index: number) => terms[index - 1] ?? null
  it.each<[string, Lineage, Lineage, number]>([
    ['two foundings share nothing', founding('x'), founding('y'), 1],
    ['a fork that ends loses what came with it', fork('f'), founding('room'), 10],
    ['the one that was left loses what its fork had no part in', founding('room'), fork('f'), 6],
    ['two forks', fork('f'), fork('g'), 1],
  ])('%s', (_title, mine, other, expected) => {
    expect(splitAt(mine, other, termOf)).toBe(expected)
  })

  it('what is compacted is not known to be shared', () => {
    expect(splitAt(founding('room'), fork('f'), () => null)).toBe(1)
  })
})
