import { expect, it } from 'vitest'
import type { Configuration, PeerId } from './entry.js'
import { quorumValue, voteResult } from './quorum.js'
import { createRandom, nextUint32 } from './random.js'

const random = createRandom(7, 'quorum')
const below = (bound: number) => nextUint32(random) % bound

function randomConfiguration(joint: boolean): Configuration {
  const all = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i']
  const draw = () => {
    const count = 1 + below(7)
    return [...all].sort(() => below(3) - 1).slice(0, count)
  }
  return { voters: draw(), outgoing: joint ? draw() : [], learners: [], learnersNext: [], incarnations: {} }
}

/** The definition, word by word: the highest value that a majority of each set has reached. */
function bruteForceValue({ voters, outgoing }: Configuration, values: ReadonlyMap<PeerId, number>): number {
  for (let value = 20; value > 0; value--) {
    const reached = (set: readonly PeerId[]) => set.filter((id) => (values.get(id) ?? 0) >= value).length
    const sets = outgoing.length === 0 ? [voters] : [voters, outgoing]
    if (sets.every((set) => reached(set) * 2 > set.length)) return value
  }
  return 0
}

it('[S59][B12] quorum values equal the definition, for 1 to 7 voters, joint or not', () => {
  for (let round = 0; round < 4000; round++) {
    const configuration = randomConfiguration(round % 2 === 0)
    const values = new Map([...'abcdefghi'].slice(0, below(10)).map((id) => [id, below(20)]))
    const result = quorumValue(configuration, (id) => values.get(id) ?? 0)
    expect(result).toBe(bruteForceValue(configuration, values))
  }
})

it('[S59] a vote is won when no answer can change it any more, lost likewise, else pending', () => {
  for (let round = 0; round < 2000; round++) {
    const configuration = randomConfiguration(round % 2 === 0)
    const answers = new Map<PeerId, boolean>()
    for (const id of 'abcdefghi') if (below(3) > 0) answers.set(id, below(2) === 0)
    const withRest = (rest: boolean) => {
      const values = new Map([...'abcdefghi'].map((id) => [id, (answers.get(id) ?? rest) ? 1 : 0]))
      return bruteForceValue(configuration, values) === 1
    }
    const expected = withRest(false) ? 'won' : withRest(true) ? 'pending' : 'lost'
    expect(voteResult(configuration, (id) => answers.get(id))).toBe(expected)
  }
})

it('[S21] nobody decides without voters', () => {
  const nobody = { voters: [], outgoing: [], learners: [], learnersNext: [], incarnations: {} }
  expect(quorumValue(nobody, () => 5)).toBe(0)
  expect(voteResult(nobody, () => true)).toBe('lost')
})
