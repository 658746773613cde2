/** The shape of a configuration and of ids, checked before a core sees them. */
import * as v from 'valibot'
import type { PeerId } from '../raft/entry.js'

const peerIdPattern = /^[A-Za-z0-9_-]{1,64}$/

/** A name that every object has is nobody's: ids are keys of objects here and there. */
export function isPeerId(text: string): text is PeerId {
  return peerIdPattern.test(text) && !(text in Object.prototype)
}

const peerIdSchema = v.pipe(v.string(), v.check(isPeerId))
const peers = v.pipe(v.array(peerIdSchema), v.maxLength(256))
const counter = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const incarnationSchema = v.strictObject({ counter, nonce: v.pipe(v.string(), v.maxLength(64)) })

export const configurationSchema = v.strictObject({
  voters: peers,
  outgoing: peers,
  learners: peers,
  learnersNext: peers,
  incarnations: v.record(peerIdSchema, incarnationSchema),
})
