import { describe, expect, it } from 'vitest'
import { askedMs, keepMs, type Surroundings, Topology } from './topology.js'

type Member = Surroundings['members'][number]
const voter = (peerId: string, link: Member['link'] = 'webrtc'): Member => ({
  peerId,
  role: 'voter',
  connected: link !== null,
  link,
})
const learner = (peerId: string): Member => ({ ...voter(peerId), role: 'learner' })

/** In letters: dialed ones large, passive ones small. */
function look(topology: Topology, members: readonly Member[], visible: readonly string[], now = 0): string {
  const { peers } = topology.wanted({ self: 'me', members, visible }, now)
  return peers
    .map(({ peerId, isPassive }) => (isPassive ? peerId : peerId.toUpperCase()))
    .sort()
    .join('')
}

describe('topology', () => {
  it('voters go to all, learners to voters', () => {
    expect(look(new Topology(), [voter('me'), voter('a'), learner('b')], [])).toBe('AB')
    expect(look(new Topology(), [learner('me'), voter('a'), voter('b'), learner('c')], ['a', 'c'])).toBe('AB')
  })

  it('who is no member yet goes to everyone it sees, and everyone to it', () => {
    expect(look(new Topology(), [], ['a', 'b', 'me'])).toBe('AB')
    expect(look(new Topology(), [voter('a'), learner('b')], ['a', 'c'])).toBe('ABC')
    expect(look(new Topology(), [learner('me'), voter('a'), learner('b')], ['b', 'c'])).toBe('AC')
  })

  it('two learners let go of each other some seconds after both are members, and take it up with a promotion', () => {
    const topology = new Topology()
    expect(look(topology, [learner('me'), voter('a')], ['a', 'b'])).toBe('AB')
    const members = [learner('me'), voter('a'), learner('b')]
    const { peers, againIn } = topology.wanted({ self: 'me', members, visible: ['b'] }, 1_000)
    expect(peers).toEqual([
      { peerId: 'a', isPassive: false },
      { peerId: 'b', isPassive: true },
    ])
    expect(againIn).toBe(keepMs - 1_000)
    expect(look(topology, members, ['b'], keepMs - 1)).toBe('Ab')
    expect(look(topology, members, ['b'], keepMs)).toBe('A')
    expect(look(topology, [voter('me'), voter('a'), voter('b')], [], keepMs + 1)).toBe('AB')
    expect(look(topology, [learner('me'), voter('a'), voter('b')], [], keepMs + 2)).toBe('AB')
  })

  it('[F4] a learner that a voter cannot be reached from goes by everyone', () => {
    const members = [learner('me'), learner('b')]
    expect(look(new Topology(), [...members, voter('a', null)], [])).toBe('AB')
    expect(look(new Topology(), [...members, voter('a', 'peer-relay')], [])).toBe('AB')
  })

  it('whoever asks is answered for a while, if it is known at all, and never dialed for that', () => {
    const topology = new Topology()
    const members = [learner('me'), voter('a'), learner('b')]
    topology.asked('b', 0)
    topology.asked('stranger', 0)
    expect(look(topology, members, [], 0)).toBe('Ab')
    expect(look(topology, members, [], askedMs - 1)).toBe('Ab')
    expect(look(topology, members, [], askedMs)).toBe('A')
  })

  it('voters come first: there may be too many', () => {
    const { peers } = new Topology().wanted(
      { self: 'me', members: [voter('me'), learner('b'), voter('a')], visible: ['c'] },
      0,
    )
    expect(peers.map(({ peerId }) => peerId)).toEqual(['a', 'c', 'b'])
  })
})
