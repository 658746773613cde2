/**
 * Who shall vote: the leader's decision, one step at a time. A pure function of what the leader sees, so that every case
 * is a line in a table of tests.
 */
import { without } from '../raft/configuration.js'
import type { Configuration, Incarnation, PeerId } from '../raft/entry.js'

export interface Candidate {
  readonly peerId: PeerId
  /** Null when not known: the configuration keeps what it has. */
  readonly incarnation: Incarnation | null
  readonly browserId: string | null
  /** Reachable now (the leader itself always is). */
  readonly live: boolean
  /** Said goodbye, is proven dead in its present life, or is but a dead tab's node kept by a survivor (L4). */
  readonly gone: boolean
  /** Silent for longer than a lease. */
  readonly silent: boolean
  /** It asked never to vote. */
  readonly learnerOnly: boolean
  /** Its log has kept up with the leader's. */
  readonly caughtUp: boolean
}

export interface Situation {
  readonly leader: PeerId
  readonly configuration: Configuration
  /** Everyone in the configuration and everyone who asked to be. */
  readonly candidates: ReadonlyMap<PeerId, Candidate>
  readonly votersMax: number
}

/**
 * The next configuration, or null when this one is right. Steps, most urgent first: those who are gone leave; a voter
 * silent for a lease leaves while at least three stay (M3), or if it is the other one of two (M2); who asks comes in as a learner;
 * learners that have caught up vote, one of each browser (M4); who is too many stops voting, but only while nobody who votes is
 * away. No step is taken after which those who are reachable could not commit.
 */
export function nextConfiguration(situation: Situation): Configuration | null {
  const { configuration } = situation
  const steps = [departed, silent, admitted, promoted, demoted, retired]
  const next = steps.flatMap((step) => step(situation)).find((proposed) => canCommit(situation, proposed)) ?? null
  const members = next ?? configuration
  const incarnations = refreshed(members, situation)
  return next || incarnations !== configuration.incarnations ? { ...members, incarnations } : null
}

/** A majority of those who would vote is reachable, or it is not a change of voters at all. */
function canCommit({ configuration, candidates, leader }: Situation, next: Configuration): boolean {
  if (next.voters.join() === configuration.voters.join()) return true
  const reachable = next.voters.filter((peerId) => peerId === leader || candidates.get(peerId)?.live === true)
  return reachable.length * 2 > next.voters.length
}

/** The dead before those whose nodes still help to remove them (L4). */
function departed({ configuration, candidates, leader }: Situation): Configuration[] {
  const gone = (peerId: PeerId) => peerId !== leader && candidates.get(peerId)?.gone === true
  const away = (peerId: PeerId) => candidates.get(peerId)?.live !== true
  const voters = configuration.voters.length > 1 ? configuration.voters.filter(gone) : []
  const leaving = [...configuration.learners.filter(gone), ...voters.filter(away), ...voters]
  return leaving.map((peerId) => without(configuration, peerId))
}

function silent({ configuration, candidates, leader }: Situation): Configuration[] {
  const isSilent = (peerId: PeerId) => peerId !== leader && candidates.get(peerId)?.silent === true
  // Of two the leader alone decides (M2); of three silence could be this leader's own.
  const mayShrink = configuration.voters.length > 3 || isPairOf(configuration, leader)
  const voters = mayShrink ? configuration.voters.filter(isSilent) : []
  return [...configuration.learners.filter(isSilent), ...voters].map((peerId) => without(configuration, peerId))
}

function isPairOf({ voters }: Configuration, leader: PeerId): boolean {
  return voters.length === 2 && voters.includes(leader)
}

/** A leader that is but a dead tab's node (L4) leaves as soon as somebody else who votes is there to go on. */
function retired(situation: Situation): Configuration[] {
  const { configuration, candidates, leader } = situation
  if (candidates.get(leader)?.gone !== true) return []
  const heir = configuration.voters.some((peerId) => peerId !== leader && isLive(situation, peerId))
  return heir ? [without(configuration, leader)] : []
}

function admitted({ configuration, candidates }: Situation): Configuration[] {
  const members = [...configuration.voters, ...configuration.learners]
  return [...candidates.values()]
    .filter(({ peerId, live, gone }) => live && !gone && !members.includes(peerId))
    .map(({ peerId }) => ({ ...configuration, learners: sorted([...configuration.learners, peerId]) }))
}

/** Only towards a choice of those who are ready: a promotion begins when it can end. */
function promoted(situation: Situation): Configuration[] {
  const { configuration, candidates } = situation
  const { voters, learners } = configuration
  const isReady = (peerId: PeerId) => voters.includes(peerId) || candidates.get(peerId)?.caughtUp === true
  const chosen = chooseVoters(situation, eligible(situation).filter(isReady))
  const next = chosen.find((peerId) => !voters.includes(peerId))
  if (next === undefined) return []
  const others = learners.filter((peerId) => peerId !== next)
  return [{ ...configuration, voters: sorted([...voters, next]), learners: others }]
}

/** Once all vote who shall. */
function demoted(situation: Situation): Configuration[] {
  const { configuration, leader } = situation
  const { voters, learners } = configuration
  const chosen = chooseVoters(situation, eligible(situation))
  if (chosen.some((peerId) => !voters.includes(peerId))) return []
  // While a voter is away, those who are here must stay: without them nothing commits.
  if (voters.some((peerId) => !isLive(situation, peerId))) return []
  const tooMany = voters.filter((peerId) => peerId !== leader && !chosen.includes(peerId)).at(-1)
  if (tooMany === undefined) return []
  const others = voters.filter((peerId) => peerId !== tooMany)
  return [{ ...configuration, voters: others, learners: sorted([...learners, tooMany]) }]
}

/** M4: from three browsers up one of each, an odd number; of two browsers one each (M2); of one browser up to three tabs. */
export function votersWanted(peers: number, browsers: number, max: number): number {
  const bounded = Math.max(1, Math.min(browsers > 1 ? browsers : Math.min(peers, 3), max))
  return bounded % 2 === 1 || browsers === 2 ? bounded : bounded - 1
}

/** Of these the leader first, then who votes already: no change for its own sake. */
function chooseVoters({ configuration, candidates, leader, votersMax }: Situation, from: readonly PeerId[]): PeerId[] {
  const browserOf = (peerId: PeerId) => candidates.get(peerId)?.browserId ?? peerId
  const rank = (peerId: PeerId) => {
    if (peerId === leader) return 0
    if (configuration.voters.includes(peerId)) return 1
    return candidates.get(peerId)?.caughtUp === true ? 2 : 3
  }
  const ranked = [...from].sort((a, b) => rank(a) - rank(b) || ascending(a, b))
  const browsers = new Set(ranked.map(browserOf))
  const wanted = votersWanted(ranked.length, browsers.size, votersMax)
  if (browsers.size === 1) return ranked.slice(0, wanted)
  return ranked.filter((peerId) => browsers.delete(browserOf(peerId))).slice(0, wanted)
}

/** F2: the configuration keeps the highest incarnation seen of each member, and nothing of others. */
function refreshed(members: Configuration, { configuration, candidates }: Situation): Configuration['incarnations'] {
  const before = configuration.incarnations
  const all = [...members.voters, ...members.learners].sort(ascending)
  const after: Record<PeerId, Incarnation> = {}
  let changed = Object.keys(before).length !== all.length
  for (const peerId of all) {
    const known = before[peerId]
    const seen = candidates.get(peerId)?.incarnation
    const highest = seen && (!known || seen.counter > known.counter) ? seen : known
    if (highest) after[peerId] = highest
    if (highest !== known) changed = true
  }
  return changed && JSON.stringify(after) !== JSON.stringify(before) ? after : before
}

function eligible(situation: Situation): PeerId[] {
  const { voters, learners } = situation.configuration
  return [...voters, ...learners].filter((peerId) => mayVote(situation, peerId))
}

function mayVote(situation: Situation, peerId: PeerId): boolean {
  return isLive(situation, peerId) && situation.candidates.get(peerId)?.learnerOnly !== true
}

function isLive({ candidates }: Situation, peerId: PeerId): boolean {
  const candidate = candidates.get(peerId)
  return candidate?.live === true && !candidate.gone
}

function sorted(peers: readonly PeerId[]): PeerId[] {
  return [...peers].sort(ascending)
}

function ascending(a: PeerId, b: PeerId): number {
  return a < b ? -1 : a > b ? 1 : 0
}
