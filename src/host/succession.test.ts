import { describe, expect, it } from 'vitest'
import { bestHeir, betterLeader, type Move, type Runner, Succession, type Urgency } from './succession.js'

/**
 * A peer in short: its letter, then what is special of it: `h` hidden, `p` a phone, `f` frozen, `r` unfit just now, `b` behind, `y` young, and its
 * round trip in tens of ms (else 10 ms).
 */
function runner(text: string): Runner {
  const [peerId = '', ...flags] = text
  const has = (flag: string) => flags.includes(flag)
  const rtt = flags.filter((flag) => /\d/.test(flag)).join('')
  return {
    peerId,
    visible: !has('h'),
    phone: has('p'),
    frozen: has('f'),
    unfit: has('f') || (has('h') && has('p')),
    rtt: rtt === '' ? 10 : Number(rtt) * 10,
    stayed: has('y') ? 6_000 : 60_000,
    ready: !has('b'),
    steady: !has('r'),
  }
}

/** The first one leads. */
function better(text: string): string | null {
  const runners = text.split(' ').map(runner)
  const [leader = runner('A')] = runners
  const move = betterLeader(leader, runners)
  return move && `${move.to} ${move.urgency}`
}

describe('[M4] a better leader', () => {
  it.each<[string, string, string | null]>([
    ['alone there is none', 'Ahp', null],
    ['all alike: none', 'A B C', null],
    ['hidden on a phone: whoever is not', 'Ahp B C', 'B soon'],
    ['... a desktop before a phone', 'Ahp Bp C', 'C soon'],
    ['... one that is seen before one that is hidden', 'Ahp Bh Cp', 'C soon'],
    ['... the nearer one', 'Ahp B30 C', 'C soon'],
    ['... the one that has been here for longest', 'Ahp By C', 'C soon'],
    ['... not one that would have to catch up', 'Ahp Bb C', 'C soon'],
    ['... not one whose phone was put away too', 'Ahp Bhp', null],
    ['... nor just now', 'Ahp Bpr', null],
    ['[S-4] frozen: anybody', 'Af Bhp', 'B now'],
    ['[S-4] ... best of all one that is fit', 'Af Bhp Cr', 'C now'],
    ['[S-4] ... not one that is frozen too, or behind', 'Af Bf Cb', null],
    ['hidden: one that is seen', 'Ah Bh C', 'C in time'],
    ['... of a phone only if it is a phone itself', 'Ah Bp', null],
    ['seen on a phone: no desktop is better for that', 'Ap B', null],
    ['far away: one that is near', 'A10 B4 C9', 'B in time'],
    ['... not one that is a little nearer', 'A10 B6', null],
    ['... nor one where nobody sees the difference', 'A4 B1', null],
    ['... nor one that is hidden', 'A90 Bh1', null],
    ['... hidden both', 'Ah90 Bh1', 'B in time'],
  ])('%s (%s)', (_title, text, wanted) => {
    expect(better(text)).toBe(wanted)
  })

  it('of an unknown distance nothing is concluded', () => {
    expect(betterLeader({ ...runner('A'), rtt: null }, [runner('B1')])).toBeNull()
    expect(betterLeader(runner('A90'), [{ ...runner('B1'), rtt: null }])).toBeNull()
  })
})

/** Looks every 50 ms for so many seconds; when leadership goes, somebody else leads and counts from there. Gives the times in ms. */
function movesOf(seconds: number, moveAt: (ms: number) => Urgency | null): number[] {
  const succession = new Succession()
  const instant = (ms: number) => ({ monotonic: ms, wall: 1e9 + ms })
  const moves: number[] = []
  succession.restart(instant(0))
  for (let ms = 0; ms < seconds * 1_000; ms += 50) {
    const urgency = moveAt(ms)
    const move: Move | null = urgency && { to: 'b', urgency }
    if (succession.next(move, instant(ms)) === null) continue
    moves.push(ms)
    succession.restart(instant(ms))
  }
  return moves
}

describe('[M1] the heir', () => {
  it.each<[string, string, string | null]>([
    ['nobody is there', '', null],
    ['the fittest', 'Bh C Dp', 'C'],
    ['not one that is frozen, or behind', 'Bf Cb Dhp', 'D'],
    ['one that is seen before one that is not', 'Bh C', 'C'],
    ['one that is unfit is better than none', 'Br', 'B'],
  ])('%s: of %j it is %s', (_, others, heir) => {
    expect(bestHeir(others.split(' ').filter(Boolean).map(runner))).toBe(heir)
  })

  it.each<[string, string, string, string]>([
    ['one whose log has everything, though another one is fitter', 'Bh C', 'c', 'B'],
    ['not one that may stop at any moment for the sake of its log', 'Bhp C', 'c', 'C'],
    ['one in reserve is better than none', 'B', 'b', 'B'],
  ])('%s: of %j with %s in reserve it is %s', (_, others, reserve, heir) => {
    expect(bestHeir(others.split(' ').map(runner), new Set(reserve.toUpperCase().split('')))).toBe(heir)
  })
})

describe('[M4] leadership does not wander', () => {
  it('what is merely better has to be so for 10 s, after a minute of leading', () => {
    expect(movesOf(300, () => 'in time')).toEqual([60_000, 120_000, 180_000, 240_000])
    expect(movesOf(100, (ms) => (ms < 70_000 ? null : 'in time'))).toEqual([80_000])
    expect(movesOf(3_600, (ms) => (ms % 10_000 < 9_950 ? 'in time' : null))).toEqual([])
  })

  it('however conditions flap, once a minute at most', () => {
    const moves = movesOf(3_600, (ms) => (Math.floor(ms / 11_000) % 2 === 0 ? 'in time' : null))
    expect(moves.length).toBeGreaterThan(20)
    expect(moves.length).toBeLessThanOrEqual(60)
    moves.forEach((at, i) => {
      expect(at - (moves[i - 1] ?? 0)).toBeGreaterThanOrEqual(60_000)
    })
  })

  it('[S-4] a page that stops, or may stop, waits for nothing', () => {
    expect(movesOf(1, () => 'now')[0]).toBe(0)
    expect(movesOf(1, () => 'soon')[0]).toBe(0)
  })

  it('[S61] a transfer that fails is not tried again at once', () => {
    const succession = new Succession()
    const tries = { now: 0, soon: 0, 'in time': 0 }
    for (const urgency of ['now', 'soon', 'in time'] as const) {
      succession.restart({ monotonic: 0, wall: 0 })
      for (let ms = 0; ms <= 120_000; ms += 50)
        if (succession.next({ to: 'b', urgency }, { monotonic: ms, wall: ms }) !== null) tries[urgency] += 1
    }
    expect(tries).toEqual({ now: 121, soon: 25, 'in time': 2 })
  })

  it('a page that stops does not wait for what was tried with less urgency', () => {
    const succession = new Succession()
    const now = { monotonic: 0, wall: 0 }
    succession.restart(now)
    expect(succession.next({ to: 'b', urgency: 'soon' }, now)).toBe('b')
    expect(succession.next({ to: 'b', urgency: 'now' }, now)).toBe('b')
    expect(succession.next({ to: 'b', urgency: 'now' }, now)).toBeNull()
  })

  it('[C3] a gap in the own time makes it a new leader', () => {
    const succession = new Succession()
    const at = (ms: number) => ({ monotonic: ms, wall: ms })
    succession.restart(at(0))
    for (let ms = 0; ms < 55_000; ms += 50) expect(succession.next({ to: 'b', urgency: 'in time' }, at(ms))).toBeNull()
    succession.restart(at(59_000))
    expect(succession.next({ to: 'b', urgency: 'in time' }, at(75_000))).toBeNull()
  })
})
