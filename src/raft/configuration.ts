import type { Configuration, PeerId } from './entry.js'

/** A configuration and the index of the entry that brought it. */
export interface ConfigurationAt {
  readonly index: number
  readonly configuration: Configuration
}

export function isVoter(configuration: Configuration, peerId: PeerId): boolean {
  return configuration.voters.includes(peerId) || configuration.outgoing.includes(peerId)
}

/** Those two vote, and nobody else. */
export function isPairWith({ voters, outgoing }: Configuration, one: PeerId, other: PeerId): boolean {
  return outgoing.length === 0 && voters.length === 2 && one !== other && voters.includes(one) && voters.includes(other)
}

/** A majority of every configuration in this list needs that peer: it votes alone or as one of two. */
export function isInEveryQuorum(configurations: readonly Configuration[], peerId: PeerId): boolean {
  return configurations.every(
    ({ voters, outgoing }) => outgoing.length === 0 && voters.length <= 2 && voters.includes(peerId),
  )
}

/** The same without that member. */
export function without(configuration: Configuration, gone: PeerId): Configuration {
  const { voters, outgoing, learners, learnersNext } = configuration
  const { [gone]: _, ...incarnations } = configuration.incarnations
  const others = (peerIds: readonly PeerId[]) => peerIds.filter((peerId) => peerId !== gone)
  return {
    voters: others(voters),
    outgoing: others(outgoing),
    learners: others(learners),
    learnersNext: others(learnersNext),
    incarnations,
  }
}

/** Voters of both sets, sorted. */
export function votersOf(configuration: Configuration): readonly PeerId[] {
  if (configuration.outgoing.length === 0) return configuration.voters
  return sortedUnique([...configuration.voters, ...configuration.outgoing])
}

/** Everyone who receives the log, sorted. */
export function membersOf(configuration: Configuration): PeerId[] {
  return sortedUnique([...configuration.voters, ...configuration.outgoing, ...configuration.learners])
}

/** The same members in the order that the type promises, without duplicates. */
export function normalized(configuration: Configuration): Configuration {
  return {
    voters: sortedUnique(configuration.voters),
    outgoing: sortedUnique(configuration.outgoing),
    learners: sortedUnique(configuration.learners),
    learnersNext: sortedUnique(configuration.learnersNext),
    incarnations: configuration.incarnations,
  }
}

/**
 * Why `next` may not follow `current` in one simple step, or null. Voters may differ by one, so that any two majorities
 * of the two configurations meet (dissertation 4.1); learners and incarnations are free.
 */
export function changeProblem(current: Configuration, next: Configuration): 'no-voters' | 'not-simple' | null {
  if (next.voters.length === 0) return 'no-voters'
  if (current.outgoing.length > 0 || next.outgoing.length > 0 || next.learnersNext.length > 0) return 'not-simple'
  if (next.learners.some((peerId) => next.voters.includes(peerId))) return 'not-simple'
  const added = next.voters.filter((peerId) => !current.voters.includes(peerId)).length
  const removed = current.voters.filter((peerId) => !next.voters.includes(peerId)).length
  return added + removed <= 1 ? null : 'not-simple'
}

/** Code units, not locale: every peer must sort alike. */
export function compareIds(a: PeerId, b: PeerId): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function sortedUnique(peerIds: readonly PeerId[]): PeerId[] {
  return [...new Set(peerIds)].sort(compareIds)
}
