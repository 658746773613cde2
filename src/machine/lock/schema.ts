import * as v from 'valibot'
import { bytes, integer, natural, positive } from '../schema.js'

const mode = v.picklist(['exclusive', 'shared'])
const scope = v.picklist(['exact', 'tree'])
const ofOne = { request: positive, name: v.string() }

/** Names, leases and attributes out of bounds are let through: the machine answers them, so that the caller hears why. */
export const lockCommandSchema = v.variant('type', [
  v.strictObject({
    type: v.literal('lock.request'),
    name: v.string(),
    mode,
    ifAvailable: v.boolean(),
    steal: v.boolean(),
    lease: integer,
    attributes: v.nullable(bytes),
  }),
  v.strictObject({
    type: v.literal('lock.acquire'),
    names: v.array(v.string()),
    mode,
    ifAvailable: v.boolean(),
    steal: v.boolean(),
    lease: integer,
    attributes: v.nullable(bytes),
    owner: v.nullable(v.string()),
    scope,
    priority: integer,
    maxHold: v.nullable(integer),
    lockDelay: integer,
  }),
  v.strictObject({ type: v.literal('lock.release'), request: positive, name: v.exactOptional(v.string()) }),
  v.strictObject({ type: v.literal('lock.upgrade'), ...ofOne }),
  v.strictObject({ type: v.literal('lock.downgrade'), ...ofOne }),
  v.strictObject({ type: v.literal('lock.revoke'), name: v.string(), grace: integer }),
  v.strictObject({ type: v.literal('lock.acknowledge'), ...ofOne, grace: natural }),
])

export const lockOutcomeSchema = v.variant('type', [
  v.strictObject({
    type: v.literal('lock.granted'),
    token: natural,
    since: natural,
    endsAt: v.exactOptional(natural),
    tokens: v.exactOptional(v.array(v.strictObject({ name: v.string(), token: natural }))),
  }),
  v.strictObject({ type: v.literal('lock.queued') }),
  v.strictObject({ type: v.literal('lock.unavailable') }),
  v.strictObject({ type: v.literal('lock.released') }),
  v.strictObject({ type: v.literal('lock.upgraded'), token: natural, since: natural }),
  v.strictObject({ type: v.literal('lock.downgraded'), token: natural }),
  v.strictObject({
    type: v.literal('lock.revoked'),
    asked: v.array(v.strictObject({ peerId: v.string(), token: natural })),
  }),
  v.strictObject({ type: v.literal('lock.acknowledged'), endsAt: v.nullable(natural) }),
])

const claim = {
  session: positive,
  request: positive,
  mode,
  lease: positive,
  attributes: v.nullable(bytes),
  requested: positive,
  since: natural,
  beyond: v.exactOptional(
    v.strictObject({
      owner: v.nullable(v.string()),
      scope,
      priority: integer,
      maxHold: v.nullable(positive),
      lockDelay: natural,
    }),
  ),
}
const heldSchema = v.strictObject({
  ...claim,
  token: natural,
  granted: positive,
  place: natural,
  expiresAt: v.exactOptional(natural),
  revoke: v.exactOptional(v.strictObject({ grace: v.nullable(natural), endsAt: v.nullable(natural) })),
  upgrade: v.exactOptional(v.strictObject({ requested: positive })),
})

/** The part of a snapshot: resources sorted by name. What waits for several names stands at the first of them. */
export const savedLocksSchema = v.array(
  v.strictObject({
    name: v.string(),
    share: v.nullable(natural),
    held: v.array(heldSchema),
    queue: v.array(v.strictObject({ ...claim, names: v.exactOptional(v.array(v.string())) })),
    delays: v.exactOptional(v.array(v.strictObject({ scope, until: natural, index: positive }))),
  }),
)
