/**
 * Which branches of the core and the host a run went through, told from outside: by what goes over the wire, what is asked
 * of the disks, how the cores' states change, and what the machine says. No product file counts anything.
 */
import { decodeFrame } from '../host/frame.js'
import type { Applied } from '../machine/outcome.js'
import { isJoint, membersOf, votersOf } from '../raft/configuration.js'
import type { Configuration, PeerId } from '../raft/entry.js'
import type { Message } from '../raft/message.js'
import type { Status } from '../raft/ready.js'
import type { StoredState, WriteBatch } from '../storage/storage.js'
import type { Coverage } from './coverage.js'

export function coverFrame(coverage: Coverage, frame: Uint8Array): void {
  const decoded = decodeFrame(frame)
  if (!decoded.ok) return
  for (const item of decoded.frame.items) {
    if (item.type === 'raft') coverMessage(coverage, item.message)
    else coverage.hit(`item ${item.type}`)
    if (item.type === 'goodbye' && item.vote !== null) coverage.hit('item goodbye with a vote')
    if (item.type === 'departed') coverage.hit(`item departed by ${item.proof}`)
  }
}

function coverMessage(coverage: Coverage, message: Message): void {
  coverage.hit(`message ${message.type}`)
  switch (message.type) {
    case 'vote':
      if (message.transfer) coverage.hit('message vote for a transfer')
      break
    case 'preVoteReply':
    case 'voteReply':
      coverage.hit(`message ${message.type} ${message.granted ? 'granted' : 'refused'}`)
      break
    case 'append':
      if (message.entries.length === 0) coverage.hit('message append that probes')
      if (message.entries.length > 1) coverage.hit('message append of several entries')
      break
    case 'appendReply':
    case 'readIndexReply':
      if (message.rejected) coverage.hit(`message ${message.type} rejected`)
      break
    default:
  }
}

/** What one transaction asks for, and `stored`, what it finds. */
export function coverWrite(coverage: Coverage, batch: WriteBatch, stored: StoredState): void {
  if (batch.reset) coverage.hit('disk founding given up')
  for (const { group, hardState, installed, entries, compacted } of batch.groups) {
    const before = stored.groups.get(group)
    if (installed) coverage.hit('disk snapshot installed')
    if (compacted) coverage.hit('disk log compacted')
    if (hardState && hardState.votedFor !== null && hardState.votedFor !== before?.hardState.votedFor)
      coverage.hit('disk vote')
    if (hardState && hardState.promisedTo !== null && before?.hardState.promisedTo === null)
      coverage.hit('disk promised vote')
    const last = before?.entries.at(-1)?.index ?? 0
    if (!installed && entries[0] && entries[0].index <= last) coverage.hit('disk entries overwritten')
  }
}

/** What one entry came to, where it was applied first. */
export function coverApplied(coverage: Coverage, { answer, opened, events }: Applied): void {
  if (answer?.outcome) {
    const { outcome } = answer
    coverage.hit(`answer ${outcome.type}${outcome.type === 'failed' ? ` ${outcome.failure.code}` : ''}`)
  } else if (answer) coverage.hit(`answer refused ${answer.reason}`)
  if (opened?.session === null) coverage.hit('session refused')
  for (const event of events) {
    if (event.type === 'session.ended' || event.type === 'lock.lost') coverage.hit(`${event.type} ${event.reason}`)
    else if (event.type !== 'lock.changed') coverage.hit(event.type)
  }
}

/** A core before and after an event. */
export interface Change {
  readonly peerId: PeerId
  readonly before: Status
  readonly now: Status
  readonly termAt: (index: number) => number | null
  /** Of all others that run, as they were last seen. */
  readonly others: Iterable<Status>
}

export function coverChange(coverage: Coverage, change: Change): void {
  const { before, now } = change
  coverRole(coverage, change)
  coverLog(coverage, change)
  if (now.role === 'leader' && before.role === 'leader') {
    coverProgress(coverage, change)
    if (before.transferringTo === null && now.transferringTo !== null) coverage.hit('transfer begun')
    if (before.transferringTo !== null && now.transferringTo === null) coverage.hit('transfer given up')
    if (before.promisedTo !== null && now.promisedTo === null) coverage.hit('promise revoked')
    if (now.configurationIndex > before.configurationIndex)
      coverConfiguration(coverage, now.peerId, before.configuration, now.configuration)
  }
  if (before.promisedTo === null && now.promisedTo !== null) coverage.hit('vote promised')
}

function coverRole(coverage: Coverage, { before, now }: Change): void {
  if (before.role !== now.role && now.role !== 'follower') coverage.hit(`role ${now.role}`)
  if (before.role !== 'leader' && now.role === 'leader' && isJoint(now.configuration))
    coverage.hit('members joint configuration taken over')
  if (before.role === 'leader' && now.role !== 'leader') {
    if (now.term === before.term) coverage.hit('leader stepped down in its term')
    else if (before.promisedTo !== null && now.term === before.term + 1)
      coverage.hit('leader entered the promised term')
    else coverage.hit('leader deposed by a higher term')
  }
  if (before.role === 'preCandidate' && now.role === 'follower') coverage.hit('pre-candidate gave way')
  if (before.role === 'candidate' && now.role === 'follower') coverage.hit('candidate gave way')
  if (before.role === 'follower' && before.leader !== null && now.leader === null)
    coverage.hit('follower lost its leader')
}

function coverLog(coverage: Coverage, { before, now, termAt, others }: Change): void {
  const isReplaced = now.firstIndex > before.lastIndex + 1
  if (!isReplaced && termAt(before.lastIndex) !== before.lastTerm && now.firstIndex <= before.lastIndex)
    coverage.hit('log truncated')
  if (now.configurationIndex < before.configurationIndex) coverage.hit('configuration cut off')
  if (now.commitIndex === before.commitIndex || now.role === 'leader' || now.leader === null) return
  // A pair's quorum: nobody else could tell it so early.
  for (const other of others) {
    if (other.peerId === now.leader && other.role === 'leader' && other.term === now.term)
      if (other.commitIndex < now.commitIndex) coverage.hit('follower commits before its leader')
  }
}

function coverProgress(coverage: Coverage, { before, now }: Change): void {
  for (const progress of now.progress) {
    const known = before.progress.find(({ peerId }) => peerId === progress.peerId)
    if (known && known.state !== progress.state) coverage.hit(`progress ${known.state} to ${progress.state}`)
  }
}

function coverConfiguration(coverage: Coverage, leader: PeerId, before: Configuration, now: Configuration): void {
  if (isJoint(now)) coverage.hit('members joint configuration entered')
  if (isJoint(before)) coverage.hit('members joint configuration left')
  const [voted, members] = [votersOf(before), membersOf(now)]
  for (const peerId of now.learners)
    if (!before.learners.includes(peerId))
      coverage.hit(voted.includes(peerId) ? 'members voter demoted' : 'members learner added')
  for (const peerId of now.voters)
    if (!voted.includes(peerId))
      coverage.hit(before.learners.includes(peerId) ? 'members learner promoted' : 'members voter added')
  for (const peerId of voted)
    if (!members.includes(peerId))
      coverage.hit(peerId === leader ? 'members leader removed itself' : 'members voter removed')
  for (const peerId of before.learners) if (!members.includes(peerId)) coverage.hit('members learner removed')
  const [from, to] = [before.voters.length, now.voters.length]
  if (from !== to) coverage.hit(`members ${to} voters`)
  if (isJoint(now)) coverage.hit(`members joint from ${from} to ${to}`)
  if (sameMembers(before, now)) coverage.hit('members incarnation noted')
}

function sameMembers(before: Configuration, now: Configuration): boolean {
  return (['voters', 'outgoing', 'learners'] as const).every((key) => before[key].join() === now[key].join())
}
