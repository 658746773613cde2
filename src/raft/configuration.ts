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

/** Why nothing can change to `next`, or null. It is a destination: how to get there is the core's work. */
export function changeProblem(next: Configuration): 'no-voters' | 'contradictory' | null {
  if (next.voters.length === 0) return 'no-voters'
  if (isJoint(next) || next.learnersNext.length > 0) return 'contradictory'
  return next.learners.some((peerId) => next.voters.includes(peerId)) ? 'contradictory' : null
}

/** While it is in force both majorities decide (dissertation 4.3). */
export function isJoint({ outgoing }: Configuration): boolean {
  return outgoing.length > 0
}

/**
 * What follows `current` on the way to `next`: `next` itself if the voters differ by one at most, so that any two majorities of the two
 * meet (dissertation 4.1); else the joint configuration of both.
 */
export function stepTowards(current: Configuration, next: Configuration): Configuration {
  const added = next.voters.filter((peerId) => !current.voters.includes(peerId)).length
  const removed = current.voters.filter((peerId) => !next.voters.includes(peerId)).length
  if (added + removed <= 1) return next
  const outgoing = current.voters
  return {
    voters: next.voters,
    outgoing,
    // A voter that is to be a learner votes until the old majority is no longer asked.
    learners: next.learners.filter((peerId) => !outgoing.includes(peerId)),
    learnersNext: next.learners.filter((peerId) => outgoing.includes(peerId)),
    incarnations: { ...current.incarnations, ...next.incarnations },
  }
}

/** What a joint configuration leads to. */
export function destinationOf({ voters, learners, learnersNext, incarnations }: Configuration): Configuration {
  const all = sortedUnique([...learners, ...learnersNext])
  const isMember = ([peerId]: readonly [PeerId, unknown]) => voters.includes(peerId) || all.includes(peerId)
  return {
    voters,
    outgoing: [],
    learners: all,
    learnersNext: [],
    incarnations: Object.fromEntries(Object.entries(incarnations).filter(isMember)),
  }
}

/** Code units, not locale: every peer must sort alike. */
export function compareIds(a: PeerId, b: PeerId): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function sortedUnique(peerIds: readonly PeerId[]): PeerId[] {
  return [...new Set(peerIds)].sort(compareIds)
}
