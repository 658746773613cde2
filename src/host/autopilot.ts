/**
 * Who shall vote: the leader's decision, one step at a time. A pure function of what the leader sees, so that every case
 * is a line in a table of tests.
 */
import { isJoint, stepTowards, without } from '../raft/configuration.js'
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
 * The next configuration, or null when this one is right. Steps, most urgent first: learners who are gone or silent leave; voters who are
 * gone leave, and those silent for a lease (M3, M2), and whoever has caught up votes in their place; who asks comes in as a learner;
 * learners that have caught up vote, one of each browser, and who is too many stops voting, but only while nobody who votes is
 * away (M4). What keeps the number of voters odd is one step, by a joint configuration if need be. No step is taken after which
 * those who are reachable could not commit.
 */
export function nextConfiguration(situation: Situation): Configuration | null {
  const { configuration } = situation
  // Whoever leads ends a change that is under way before anything else.
  if (isJoint(configuration)) return null
  const steps = [learnersLeft, votersLeft, admitted, rearranged, retired]
  const next = steps.flatMap((step) => step(situation)).find((proposed) => canCommit(situation, proposed)) ?? null
  const members = next ?? configuration
  const incarnations = refreshed(members, situation)
  return next || incarnations !== configuration.incarnations ? { ...members, incarnations } : null
}

/** A majority of those who would vote is reachable, of both halves if the way is joint; or it is not a change of voters at all. */
function canCommit({ configuration, candidates, leader }: Situation, next: Configuration): boolean {
  if (next.voters.join() === configuration.voters.join()) return true
  const { voters, outgoing } = stepTowards(configuration, next)
  const isReachable = (peerId: PeerId) => peerId === leader || candidates.get(peerId)?.live === true
  return [voters, outgoing].every((half) => half.length === 0 || half.filter(isReachable).length * 2 > half.length)
}

function learnersLeft({ configuration, candidates }: Situation): Configuration[] {
  const leaving = (peerId: PeerId) => candidates.get(peerId)?.gone === true || candidates.get(peerId)?.silent === true
  return configuration.learners.filter(leaving).map((peerId) => without(configuration, peerId))
}

/** The dead before those whose nodes still help to remove them (L4); last those of whom only silence is known. */
function votersLeft(situation: Situation): Configuration[] {
  const { configuration, candidates, leader } = situation
  const others = configuration.voters.filter((peerId) => peerId !== leader)
  const gone = others.filter((peerId) => candidates.get(peerId)?.gone === true)
  const isAway = (peerId: PeerId) => candidates.get(peerId)?.live !== true
  const silent = others.filter((peerId) => candidates.get(peerId)?.silent === true)
  const leaving = [...new Set([...gone.filter(isAway), ...gone, ...silent])]
  return leaving.length > 0 ? exchanges(situation, leaving) : []
}

function isPairOf({ voters }: Configuration, leader: PeerId): boolean {
  return voters.length === 2 && voters.includes(leader)
}

/** A leader that is but a dead tab's node (L4) leaves as soon as somebody else who votes is there to go on. */
function retired(situation: Situation): Configuration[] {
  const { configuration, candidates, leader } = situation
  if (candidates.get(leader)?.gone !== true) return []
  const heir = configuration.voters.some((peerId) => peerId !== leader && isLive(situation, peerId))
  return heir ? exchanges(situation, [leader]) : []
}

function admitted({ configuration, candidates }: Situation): Configuration[] {
  const members = [...configuration.voters, ...configuration.learners]
  return [...candidates.values()]
    .filter(({ peerId, live, gone }) => live && !gone && !members.includes(peerId))
    .map(({ peerId }) => ({ ...configuration, learners: sorted([...configuration.learners, peerId]) }))
}

function rearranged(situation: Situation): Configuration[] {
  return exchanges(situation, [])
}

/**
 * Every way to let some of these leave, some learners vote, and some voters who are too many be learners again: the best first.
 * Never more than a minority stop voting in one step, or a single one.
 */
function exchanges(situation: Situation, leaving: readonly PeerId[]): Configuration[] {
  const { configuration } = situation
  const staying = configuration.voters.filter((peerId) => !leaving.includes(peerId))
  const joining = chosenOf(situation, staying, true).filter((peerId) => !staying.includes(peerId))
  const stopping = [...leaving, ...surplus(situation, staying, joining)]
  const most = Math.min(stopping.length, Math.max(1, (configuration.voters.length - 1) >> 1))
  const all: Exchange[] = []
  for (let stop = leaving.length > 0 ? 1 : 0; stop <= most; stop++) {
    for (let join = 0; join <= joining.length; join++) {
      if (stop + join === 0) continue
      all.push({ leaving: leaving.slice(0, stop), stopping: stopping.slice(0, stop), joining: joining.slice(0, join) })
    }
  }
  return all
    .filter((exchange) => isAllowed(situation, exchange))
    .sort((a, b) => rankOf(situation, b) - rankOf(situation, a))
    .map((exchange) => exchanged(configuration, exchange))
}

/** These voters stop voting, of whom those leave; these learners begin to. */
interface Exchange {
  readonly leaving: readonly PeerId[]
  readonly stopping: readonly PeerId[]
  readonly joining: readonly PeerId[]
}

function isAllowed(situation: Situation, exchange: Exchange): boolean {
  const { configuration, candidates, leader, votersMax } = situation
  const { leaving, joining } = exchange
  const before = configuration.voters.length
  const after = sizeAfter(situation, exchange)
  if (after < 1 || after > Math.max(before, votersMax)) return false
  const isOfSilence = leaving.some((peerId) => candidates.get(peerId)?.gone !== true)
  // M3. Of two the leader alone decides (M2); of three silence could be this leader's own.
  if (isOfSilence && after < 3 && !isPairOf(configuration, leader)) return false
  // Who is gone does not stay for the sake of an odd number.
  return hasGoodSize(after) || (leaving.length > 0 && !isOfSilence && joining.length === 0)
}

/** M4: an even number needs more votes for nothing, but two of two browsers (M2), or on the way to one. */
function hasGoodSize(voters: number): boolean {
  return voters % 2 === 1 || voters === 2
}

function rankOf(situation: Situation, exchange: Exchange): number {
  const { stopping, joining } = exchange
  const size = hasGoodSize(sizeAfter(situation, exchange)) ? 1_000 : 0
  return size + 10 * (stopping.length + joining.length) + stopping.length
}

function sizeAfter({ configuration }: Situation, { stopping, joining }: Exchange): number {
  return configuration.voters.length - stopping.length + joining.length
}

function exchanged(configuration: Configuration, { leaving, stopping, joining }: Exchange): Configuration {
  const { voters, learners } = configuration
  const again = stopping.filter((peerId) => !leaving.includes(peerId))
  return {
    ...configuration,
    voters: sorted([...voters.filter((peerId) => !stopping.includes(peerId)), ...joining]),
    learners: sorted([...learners.filter((peerId) => !joining.includes(peerId)), ...again]),
  }
}

/**
 * Who shall vote of those who stay and those who are there: a voter that is away has its seat until it leaves. `ready`: only of learners
 * that have caught up, so that a promotion begins when it can end.
 */
function chosenOf(situation: Situation, staying: readonly PeerId[], ready: boolean): PeerId[] {
  const { configuration, candidates } = situation
  const isReady = (peerId: PeerId) => !ready || candidates.get(peerId)?.caughtUp === true
  const learners = configuration.learners.filter((peerId) => mayVote(situation, peerId) && isReady(peerId))
  const isAway = (peerId: PeerId) => candidates.get(peerId)?.live !== true && candidates.get(peerId)?.gone !== true
  const voters = staying.filter((peerId) => mayVote(situation, peerId) || isAway(peerId))
  return chooseVoters(situation, [...voters, ...learners])
}

/** Once all vote who shall. While a voter is away, those who are here must stay: without them nothing commits. */
function surplus(situation: Situation, staying: readonly PeerId[], joining: readonly PeerId[]): PeerId[] {
  const chosen = chosenOf(situation, staying, false)
  if (chosen.some((peerId) => !staying.includes(peerId) && !joining.includes(peerId))) return []
  if (staying.some((peerId) => !isLive(situation, peerId))) return []
  return staying.filter((peerId) => peerId !== situation.leader && !chosen.includes(peerId)).reverse()
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
