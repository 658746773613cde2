/** The shape of a configuration and of ids, checked before a core sees them. */
import * as v from 'valibot'
import type { Configuration, PeerId } from '../raft/entry.js'

const peerIdPattern = /^[A-Za-z0-9_-]{1,64}$/

/** A name that every object has is nobody's: ids are keys of objects here and there. */
export function isPeerId(text: string): text is PeerId {
  return peerIdPattern.test(text) && !(text in Object.prototype)
}

const peerIdSchema = v.pipe(v.string(), v.check(isPeerId))
const peers = v.pipe(v.array(peerIdSchema), v.maxLength(256))
const counter = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const incarnationSchema = v.strictObject({ counter, nonce: v.pipe(v.string(), v.maxLength(64)) })

/** What no core would have proposed (entry.ts): nobody votes, somebody is named twice, or is two things at once. */
function isConsistent({ voters, outgoing, learners, learnersNext }: Lists): boolean {
  const isOrdered = (ids: readonly PeerId[]) => ids.every((peerId, i) => i === 0 || (ids[i - 1] ?? '') < peerId)
  const isApart = (some: readonly PeerId[], others: readonly PeerId[]) => !some.some((id) => others.includes(id))
  if (voters.length === 0 || ![voters, outgoing, learners, learnersNext].every(isOrdered)) return false
  if (!isApart(learners, voters) || !isApart(learners, outgoing) || !isApart(learnersNext, voters)) return false
  return learnersNext.every((peerId) => outgoing.includes(peerId))
}
type Lists = Pick<Configuration, 'voters' | 'outgoing' | 'learners' | 'learnersNext'>

export const configurationSchema = v.pipe(
  v.strictObject({
    voters: peers,
    outgoing: peers,
    learners: peers,
    learnersNext: peers,
    incarnations: v.record(peerIdSchema, incarnationSchema),
  }),
  v.check((configuration) => isConsistent(configuration)),
)
