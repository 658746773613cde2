import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Branch } from '../machine/command.js'
import type { EntryId } from '../raft/entry.js'
import type { Lineage } from '../storage/storage.js'
import { type Claim, compareHistories, type History, isSettled, partsAt, yieldsTo } from './histories.js'

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
/** The forks on the way to it: what all of them have in common ends at `since`. */
const branchesOf = ({ epoch, forkId, foundation }: Lineage, since: EntryId): Branch[] =>
  Array.from({ length: epoch }, (_, i) => ({
    forkId: i + 1 === epoch ? forkId : `before ${i + 1}`,
    members: foundation?.members ?? 1,
    lastCommand: since,
  }))
const claim = (lastCommand: EntryId, others: Partial<Claim> = {}): Claim => ({
  hasQuorum: true,
  foundedAt: 100,
  lastCommand,
  branches: [],
  ...others,
})
/** A fork has commands up to the ninth entry from the history that it left, or as many as it has at all. */
const history = (lineage: Lineage, lastCommand: EntryId, others: Partial<Claim> = {}): History => ({
  lineage,
  claim: claim(lastCommand, { branches: branchesOf(lineage, lastCommand.index > 9 ? at(9) : lastCommand), ...others }),
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

/** Entry by entry, what the histories of one room agreed on. */
interface Grown {
  readonly lineage: Lineage
  readonly branches: readonly Branch[]
  readonly commands: readonly EntryId[]
}

const steps = fc.array(
  fc.record({ kind: fc.constantFrom('act', 'fork', 'found'), of: fc.nat(20), after: fc.nat(5), members: fc.nat(3) }),
  { maxLength: 24 },
)

/** Some foundings, which agree on commands and are left by forks, at any place of their logs. */
function grow(plan: readonly { kind: string; of: number; after: number; members: number }[]): History[] {
  const all: Grown[] = [{ lineage: founding('room'), branches: [], commands: [] }]
  for (const [i, { kind, of, after, members }] of plan.entries()) {
    const at = of % all.length
    const { lineage, branches, commands } = all[at] ?? (all[0] as Grown)
    if (kind === 'found') all.push({ lineage: founding(`room ${i % 3} ${i}`), branches: [], commands: [] })
    else if (kind === 'act') {
      const index = (commands.at(-1)?.index ?? 0) + 1
      all[at] = { lineage, branches, commands: [...commands, { term: lineage.epoch + 1, index }] }
    } else {
      const kept = commands.slice(0, Math.max(branches.at(-1)?.lastCommand.index ?? 0, commands.length - after))
      const forkId = `fork ${(i * 7) % 24}`
      const branch = { forkId, members: members + 1, lastCommand: kept.at(-1) ?? none }
      const { roomId, epoch } = lineage
      all.push({ lineage: { roomId, epoch: epoch + 1, forkId }, branches: [...branches, branch], commands: kept })
    }
  }
  return all.map(({ lineage, branches, commands }) => {
    const foundedAt = lineage.roomId === 'room' ? 100 : 100 + (lineage.roomId.charCodeAt(5) % 2)
    return { lineage, claim: claim(commands.at(-1) ?? none, { branches, foundedAt }) }
  })
}

describe('[N2] [N3] of any number of histories', () => {
  it('three that would each end for another one by pairs: what was agreed before they parted decides', () => {
    const branch = (forkId: string, members: number, index: number) => ({
      branches: [{ forkId, members, lastCommand: at(index) }],
    })
    const left = history(founding('room'), at(9))
    const early = history(fork('f', 2), at(14, 6), branch('f', 2, 5))
    const late = history(fork('g', 1), at(14, 6), branch('g', 1, 9))
    // `left` has agreed on nothing since `late` left it, and on something since `early` did; of the forks `early` has more members.
    expect([winner(left, late), winner(left, early), winner(early, late)]).toEqual(['b', 'a', 'b'])
  })

  it('there is one order of all of them, whoever meets whom first', () => {
    fc.assert(
      fc.property(steps, (plan) => {
        const all = grow(plan)
        for (const a of all)
          for (const b of all) {
            const order = Math.sign(compareHistories(a, b))
            expect(order === 0).toBe(a === b)
            expect(Math.sign(compareHistories(b, a))).toBe(order === 0 ? 0 : -order)
            for (const c of all)
              if (order > 0 && compareHistories(b, c) > 0) expect(compareHistories(a, c)).toBeGreaterThan(0)
          }
      }),
      { numRuns: 300 },
    )
  })

  it('none goes on that has nothing but a part of what the other one has, and so nobody loses anything', () => {
    fc.assert(
      fc.property(steps, fc.nat(20), fc.nat(3), (plan, of, more) => {
        const all = grow(plan)
        const part = all[of % all.length] as History
        // Another fork of the same history, with all that it has, and with more.
        const { term, index } = part.claim.lastCommand
        const branches = [...part.claim.branches, { forkId: 'new', members: 1, lastCommand: part.claim.lastCommand }]
        const lastCommand = { term: term + 1, index: index + 1 + more }
        const { roomId, epoch } = part.lineage
        const whole = {
          lineage: { roomId, epoch: epoch + 1, forkId: 'new' },
          claim: { ...part.claim, branches, lastCommand },
        }
        expect(winner(part, whole)).toBe('b')
      }),
    )
  })

  it('what a history still agrees on never puts it lower', () => {
    fc.assert(
      fc.property(steps, fc.nat(20), fc.nat(20), (plan, i, j) => {
        const all = grow(plan)
        const [one, other] = [all[i % all.length] as History, all[j % all.length] as History]
        if (one === other) return
        const { term, index } = one.claim.lastCommand
        const grown = { ...one, claim: { ...one.claim, lastCommand: { term: term + 1, index: index + 1 } } }
        if (compareHistories(one, other) > 0) expect(compareHistories(grown, other)).toBeGreaterThan(0)
        // An entry that says so ends it unconditionally only if that cannot change any more.
        if (yieldsTo(one, other) && isSettled(one, other)) expect(yieldsTo(grown, other)).toBe(true)
      }),
    )
  })

  it('an end is settled unless what is agreed on meanwhile would change it', () => {
    const left = history(founding('room'), at(9))
    expect(isSettled(left, history(fork('f'), at(14, 6)))).toBe(false)
    expect(isSettled(history(fork('f'), at(14, 6)), history(founding('room'), at(12)))).toBe(true)
    const elder = history(founding('x'), none)
    expect(isSettled(elder, history(founding('a'), at(3), { foundedAt: 200 }))).toBe(false)
  })
})

describe('[N3] where two histories part', () => {
  const terms = [1, 1, 2, 3, 3, 4, 4, 4, 4, 4, 4]
  const termOf = (index: number) => terms[index - 1] ?? null
  /** It left the one before it after that entry, the last command. */
  const forked = (base: EntryId, ...names: string[]): History => ({
    lineage: {
      ...{ roomId: 'room', epoch: names.length, forkId: names.at(-1) ?? '' },
      foundation: { term: 9, index: base.index + 1, previousTerm: base.term, members: 1 },
    },
    claim: claim(at(20, 9), { branches: names.map((forkId) => ({ forkId, members: 1, lastCommand: base })) }),
  })
  const room = history(founding('room'), at(11, 4))

  it.each<[string, History, History, number]>([
    ['two foundings share nothing', history(founding('x'), at(5)), history(founding('y'), at(5)), 1],
    ['a fork that ends loses what came with it', forked(at(9, 4), 'f'), room, 10],
    ['... one that left with nothing loses all', forked(none, 'f'), room, 1],
    ['the one that was left loses what its fork had no part in', room, forked(at(5, 3), 'f'), 6],
    ['... and all, if the fork began with what was never agreed on there', room, forked(at(7, 3), 'f'), 1],
    ['... and what a fork of that fork had no part in', room, forked(at(5, 3), 'f', 'g'), 6],
    ['a fork that ends for what its parent left', forked(at(5, 3), 'f', 'g'), room, 6],
    ['a fork that ends for its own fork loses what came later', forked(at(9, 4), 'f'), forked(at(9, 4), 'f', 'g'), 10],
    ['two forks of one log lose what each began', forked(at(5, 3), 'f'), forked(at(5, 3), 'g'), 6],
    ['... the shorter of them too', forked(at(9, 4), 'f'), forked(at(5, 3), 'g'), 6],
    ['... and the longer, if one leader wrote what both began with', forked(at(6, 4), 'f'), forked(at(9, 4), 'g'), 7],
    [
      'of a fork that began with more of a later leader nothing is known',
      forked(at(5, 3), 'f'),
      forked(at(9, 4), 'g'),
      1,
    ],
    ['the fork of a sibling is none of this one', forked(at(5, 3), 'f'), forked(at(11, 4), 'g', 'h'), 1],
  ])('%s', (_title, mine, other, expected) => {
    expect(partsAt(mine, other, termOf)).toBe(expected)
  })

  it('a peer that has gone over to another fork since it made its claim has parted where the claim says', () => {
    const { claim } = forked(at(5, 3), 'f')
    expect(partsAt(room, { lineage: forked(at(9, 4), 'f', 'g').lineage, claim }, termOf)).toBe(6)
  })

  it('what is compacted is not known to be shared', () => {
    expect(partsAt(room, forked(at(5, 3), 'f'), () => null)).toBe(1)
  })

  interface Logged {
    readonly term: number
    readonly id: number
    /** Somebody may have been told. */
    readonly agreed: boolean
  }
  interface Tree {
    readonly history: History
    readonly log: readonly Logged[]
    readonly term: number
  }

  const growth = fc.array(
    fc.record({ at: fc.nat(9), do: fc.constantFrom('act', 'act', 'elect', 'fork'), keep: fc.nat(4), tail: fc.nat(2) }),
    { maxLength: 24 },
  )

  /** Histories with their logs. A fork may begin with entries of a leader that never got them agreed on where it came from. */
  function growLogs(plan: typeof growth extends fc.Arbitrary<infer T> ? T : never): Tree[] {
    const all: Tree[] = [{ history: history(founding('room'), none), log: [], term: 1 }]
    let id = 0
    for (const { at: of, do: what, keep, tail } of plan) {
      const i = of % all.length
      const { history, log, term } = all[i] as Tree
      const entry = (term: number, agreed: boolean): Logged => ({ term, id: id++, agreed })
      if (what === 'act') all[i] = { history, term, log: [...log, entry(term, true)] }
      else if (what === 'elect') all[i] = { history, log, term: term + 1 }
      else {
        const from = history.lineage.foundation?.index ?? 0
        const base = [
          ...log.slice(0, Math.max(from, log.length - keep)),
          ...Array.from({ length: tail }, () => entry(term + 1, false)),
        ]
        // Whoever led then leads no more: what stands there is another one's to say.
        all[i] = { history, log, term: term + 2 }
        const { roomId, epoch } = history.lineage
        const previousTerm = base.at(-1)?.term ?? 0
        const foundation = { term: term + 2, index: base.length + 1, previousTerm, members: 1 }
        const forkId = `fork ${all.length}`
        const branch = { forkId, members: 1, lastCommand: { term: previousTerm, index: base.length } }
        const lineage = { roomId, epoch: epoch + 1, forkId, foundation }
        const branches = [...history.claim.branches, branch]
        const begun = { lineage, claim: claim(none, { branches }) }
        all.push({ history: begun, log: [...base, entry(term + 2, false)], term: term + 2 })
      }
    }
    return all
  }

  it('what was agreed on before that is there in the other one, whoever left whom', () => {
    let shared = 0
    fc.assert(
      fc.property(growth, (plan) => {
        const all = growLogs(plan)
        for (const mine of all)
          for (const other of all) {
            if (mine === other) continue
            const parts = partsAt(mine.history, other.history, (index) => mine.log[index - 1]?.term ?? null)
            const before = mine.log.slice(0, parts - 1)
            shared += before.length
            for (const [i, { id, agreed }] of before.entries()) if (agreed) expect(other.log[i]?.id).toBe(id)
          }
      }),
      { numRuns: 300 },
    )
    expect(shared).toBeGreaterThan(0)
  })
})
