/**
 * Who shall vote: the leader's decision, one step at a time. A pure function of what the leader sees, so that every case
 * is a line in a table of tests.
 */
import { isJoint, stepTowards, without } from '../raft/configuration.js'
import type { Configuration, Incarnation, PeerId } from '../raft/entry.js'
import { byFitness } from './succession.js'

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
  /** Its page may stop at any moment without a word: hidden on a phone, or frozen. */
  readonly unfit: boolean
  /** Its browser has announced to stop its page, and has not let it go on since. */
  readonly frozen: boolean
  /** It has stayed and been fit for long enough to be counted on. */
  readonly settled: boolean
  /** It was unfit before, in this life. */
  readonly returned: boolean
  readonly visible: boolean
  readonly phone: boolean
  /** What its commits would wait for, ms; null when not known. */
  readonly rtt: number | null
  /** How long this life has been in the room, ms. */
  readonly stayed: number
}

export interface Situation {
  readonly leader: PeerId
  readonly configuration: Configuration
  /** Everyone in the configuration and everyone who asked to be. */
  readonly candidates: ReadonlyMap<PeerId, Candidate>
  readonly votersMax: number
  /** A lease has passed since silence last cost a voter its seat, or since this leader's election (M3). */
  readonly mayRemoveSilent: boolean
}

/**
 * The next configuration, or null when this one is right. Steps, most urgent first: learners who are gone or silent leave; voters who are
 * gone leave, and one at a time who is silent for a lease (M3, M2), and whoever has caught up votes in their place; a leader whose page
 * may stop gets somebody to hand over to; who asks comes in as a learner; learners that have caught up and settled vote, one of each
 * browser, and who is too many or unfit stops voting, but only while nobody who votes is away (M4). A voter is exchanged for another one
 * only then, never because the other is a little better: the set does not wander.
 *
 * The 5 s of settling (M4) spare the room a change for a tab that is opened and closed. They hold only while the voters could lose
 * any one of them: where every voter is needed, as in a room of one or two, it gains more by a newcomer's vote than it could
 * lose by it, and most rooms begin so. Who was unfit before in its life settles always: a phone that is taken out of a pocket now and then
 * moves nothing. What keeps the number of voters odd is one step, by a joint configuration if need be. No step is taken after which
 * those who are reachable could not commit.
 */
export function nextConfiguration(situation: Situation): Configuration | null {
  const { configuration } = situation
  // Whoever leads ends a change that is under way before anything else.
  if (isJoint(configuration)) return null
  const steps = [learnersLeft, votersLeft, relieved, admitted, rearranged, retired]
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
  const silent = others.filter((peerId) => !gone.includes(peerId) && isSilent(situation, peerId))
  // M3: at most one, or a leader whose own links are bad would do away with everybody at once.
  const oneSilent = situation.mayRemoveSilent ? silent.slice(0, 1) : []
  const leaving = [...new Set([...gone.filter(isAway), ...gone, ...oneSilent])]
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

/**
 * A leader whose page may stop is no good to the room, and hands over to nobody who is no better: so the best learner votes, whatever the
 * number is then. With three, or as many as may be, it takes a seat; below that it gets one, and of two votes at the least there is always room.
 * Who is being frozen takes whoever is not (S-4).
 */
function relieved(situation: Situation): Configuration[] {
  const { configuration, leader, votersMax } = situation
  if (isFit(situation, leader)) return []
  const others = configuration.voters.filter((peerId) => peerId !== leader && isLive(situation, peerId))
  const isStopping = isFrozen(situation, leader)
  const isBetter = (peerId: PeerId) => (isStopping ? !isFrozen(situation, peerId) : isFit(situation, peerId))
  if (others.some(isBetter)) return []
  const canLead = (peerId: PeerId) => isReady(situation, peerId) || (isStopping && isAwake(situation, peerId))
  const [heir] = configuration.learners.filter(canLead).sort(preferring(situation))
  const worst = [...others].sort(preferring(situation)).at(-1)
  const isFull = configuration.voters.length >= Math.max(2, Math.min(3, votersMax))
  if (heir === undefined || (isFull && worst === undefined)) return []
  const stopping = isFull && worst !== undefined ? [worst] : []
  return [exchanged(configuration, { leaving: [], stopping, joining: [heir] })]
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
  const { leaving, stopping, joining } = exchange
  const before = configuration.voters.length
  const after = sizeAfter(situation, exchange)
  if (after < 1 || after > Math.max(before, votersMax)) return false
  const isOfSilence = leaving.some((peerId) => candidates.get(peerId)?.gone !== true)
  // M3. Of two the leader alone decides (M2); of three silence could be this leader's own.
  if (isOfSilence && after < 3 && !isPairOf(configuration, leader)) return false
  if (hasGoodSize(after)) return true
  // Who is gone does not stay for the sake of an odd number; nor does who is silent, if another such one leaves a lease later (M3).
  const isFollowed = configuration.voters.some((peerId) => !stopping.includes(peerId) && isSilent(situation, peerId))
  return leaving.length > 0 && joining.length === 0 && (!isOfSilence || isFollowed)
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
 * that have caught up and settled, so that a promotion begins when it can end. Who is unfit is not counted, unless the leader is too: then all
 * wait for a better one.
 */
function chosenOf(situation: Situation, staying: readonly PeerId[], ready: boolean): PeerId[] {
  const { configuration, candidates, leader } = situation
  const mayJoin = (peerId: PeerId) => mayVote(situation, peerId) && isFit(situation, peerId)
  const learners = configuration.learners.filter((peerId) => mayJoin(peerId) && (!ready || isReady(situation, peerId)))
  const isGone = (peerId: PeerId) => candidates.get(peerId)?.gone === true
  const isAway = (peerId: PeerId) => !isLive(situation, peerId) && !isGone(peerId) && isFit(situation, peerId)
  const isCounted = (peerId: PeerId) => isFit(situation, peerId) || !isFit(situation, leader)
  const voters = staying.filter((peerId) => isAway(peerId) || (mayVote(situation, peerId) && isCounted(peerId)))
  return chooseVoters(situation, [...voters, ...learners])
}

/**
 * Once all vote who shall; who is unfit is not kept until then. While a voter is away, those who are here must stay: without them nothing
 * commits. Who said before that it may stop is not waited for, here or not. A leader that is about to hand over leaves it to the next one.
 */
function surplus(situation: Situation, staying: readonly PeerId[], joining: readonly PeerId[]): PeerId[] {
  const { leader } = situation
  const isWaitedFor = (peerId: PeerId) => !isLive(situation, peerId) && isFit(situation, peerId)
  if (staying.some(isWaitedFor) || !isFit(situation, leader)) return []
  const chosen = chosenOf(situation, staying, false)
  const tooMany = staying.filter((peerId) => peerId !== leader && !chosen.includes(peerId)).sort(preferring(situation))
  const unfit = tooMany.filter((peerId) => !isFit(situation, peerId))
  const isWaiting = chosen.some((peerId) => !staying.includes(peerId) && !joining.includes(peerId))
  return isWaiting ? unfit : tooMany.reverse()
}

/**
 * M4: from three browsers up one of each, an odd number; of two browsers one each (M2); of one browser up to three tabs. Of two tabs one
 * is enough while it is seen, since the other carries its vote on when it dies (L4); but what is hidden may be frozen, which proves nothing
 * (L2). So both vote then, and the one that is frozen has no more to do in its last moment than to show the vote that it has promised (M2).
 */
export function votersWanted(peers: number, browsers: number, max: number, isLeaderHidden: boolean): number {
  const bounded = Math.max(1, Math.min(browsers > 1 ? browsers : Math.min(peers, 3), max))
  const mayBePair = browsers === 2 || isLeaderHidden
  return bounded % 2 === 1 || (bounded === 2 && mayBePair) ? bounded : bounded - 1
}

/** Of these the leader first, then who votes already, then the best (`byFitness`): no change for its own sake. */
function chooseVoters(situation: Situation, from: readonly PeerId[]): PeerId[] {
  const { configuration, candidates, leader, votersMax } = situation
  const browserOf = (peerId: PeerId) => candidates.get(peerId)?.browserId ?? peerId
  const rank = (peerId: PeerId) => {
    if (peerId === leader) return 0
    if (configuration.voters.includes(peerId)) return 1
    return isReady(situation, peerId) ? 2 : 3
  }
  const prefer = preferring(situation)
  const ranked = [...from].sort((a, b) => rank(a) - rank(b) || prefer(a, b))
  const browsers = new Set(ranked.map(browserOf))
  const isLeaderHidden = candidates.get(leader)?.visible === false
  const wanted = votersWanted(ranked.length, browsers.size, votersMax, isLeaderHidden)
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

/** M4: promoted is who keeps up and, where it matters, has settled. */
function isReady(situation: Situation, peerId: PeerId): boolean {
  const candidate = situation.candidates.get(peerId)
  if (!candidate?.caughtUp || candidate.unfit || !mayVote(situation, peerId)) return false
  return candidate.settled || (!candidate.returned && !isRedundant(situation))
}

/** It runs and has the log: all that matters to a leader that has no time to choose. */
function isAwake(situation: Situation, peerId: PeerId): boolean {
  const isThere = mayVote(situation, peerId) && situation.candidates.get(peerId)?.caughtUp === true
  return isThere && !isFrozen(situation, peerId)
}

/** The voters could lose any one of those that are fit and here, and go on. */
function isRedundant(situation: Situation): boolean {
  const { voters } = situation.configuration
  const there = voters.filter((peerId) => isLive(situation, peerId) && isFit(situation, peerId)).length
  return (there - 1) * 2 > voters.length
}

function isFit({ candidates }: Situation, peerId: PeerId): boolean {
  return candidates.get(peerId)?.unfit !== true
}

function isFrozen({ candidates }: Situation, peerId: PeerId): boolean {
  return candidates.get(peerId)?.frozen === true
}

function isSilent({ candidates }: Situation, peerId: PeerId): boolean {
  return candidates.get(peerId)?.silent === true
}

/** An order of peers, the fittest first. */
function preferring({ candidates }: Situation): (a: PeerId, b: PeerId) => number {
  return (a, b) => {
    const [one, other] = [candidates.get(a), candidates.get(b)]
    return one && other ? byFitness(one, other) : ascending(a, b)
  }
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
