import type { Configuration, PeerId } from './entry.js'

/**
 * The highest value that a quorum has reached: of commit indices, of heartbeat rounds. While a joint change runs both
 * majorities are needed (dissertation 4.3). 0 without voters: nobody decides for nobody.
 */
export function quorumValue(configuration: Configuration, reached: (peerId: PeerId) => number): number {
  const incoming = majorityValue(configuration.voters, reached)
  if (configuration.outgoing.length === 0) return incoming
  return Math.min(incoming, majorityValue(configuration.outgoing, reached))
}

export type VoteResult = 'won' | 'lost' | 'pending'

/** `answerOf`: true for a vote, false for a refusal, undefined while there is no answer. */
export function voteResult(
  configuration: Configuration,
  answerOf: (peerId: PeerId) => boolean | undefined,
): VoteResult {
  const incoming = majorityResult(configuration.voters, answerOf)
  if (configuration.outgoing.length === 0) return incoming
  const outgoing = majorityResult(configuration.outgoing, answerOf)
  if (incoming === 'lost' || outgoing === 'lost') return 'lost'
  return incoming === 'won' && outgoing === 'won' ? 'won' : 'pending'
}

function majorityValue(voters: readonly PeerId[], reached: (peerId: PeerId) => number): number {
  // Insertion sort, descending: voters are few, and this runs for every acknowledgement.
  const values: number[] = []
  for (const peerId of voters) {
    const value = reached(peerId)
    let at = values.length
    values.push(value)
    for (; at > 0 && (values[at - 1] ?? 0) < value; at--) values[at] = values[at - 1] ?? 0
    values[at] = value
  }
  return values[voters.length >> 1] ?? 0
}

function majorityResult(voters: readonly PeerId[], answerOf: (peerId: PeerId) => boolean | undefined): VoteResult {
  const majority = (voters.length >> 1) + 1
  let granted = 0
  let open = 0
  for (const peerId of voters) {
    const answer = answerOf(peerId)
    if (answer === true) granted++
    else if (answer === undefined) open++
  }
  if (voters.length > 0 && granted >= majority) return 'won'
  return granted + open < majority ? 'lost' : 'pending'
}
