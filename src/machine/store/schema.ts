import * as v from 'valibot'
import { bytes, natural, positive } from '../schema.js'

const fence = v.nullable(v.strictObject({ name: v.string(), token: natural }))

const operations = v.array(
  v.variant('type', [
    v.strictObject({ type: v.literal('set'), key: v.string(), value: bytes, fence, ephemeral: v.boolean() }),
    v.strictObject({ type: v.literal('delete'), key: v.string(), fence }),
    v.strictObject({ type: v.literal('get'), key: v.string() }),
  ]),
)

/** Keys and values out of bounds are let through: the machine answers them, so that the caller hears why. */
export const storeCommandSchema = v.variant('type', [
  v.strictObject({
    type: v.literal('store.set'),
    key: v.string(),
    value: bytes,
    fence,
    ephemeral: v.boolean(),
  }),
  v.strictObject({ type: v.literal('store.delete'), key: v.string(), fence }),
  v.strictObject({
    type: v.literal('store.compareAndSet'),
    key: v.string(),
    expected: v.union([v.strictObject({ revision: natural }), v.strictObject({ value: bytes })]),
    next: bytes,
  }),
  v.strictObject({
    type: v.literal('store.transact'),
    compare: v.array(
      v.union([
        v.strictObject({ key: v.string(), is: v.picklist(['=', '!=', '<', '>']), revision: natural }),
        v.strictObject({ key: v.string(), is: v.picklist(['=', '!=']), value: bytes }),
      ]),
    ),
    success: operations,
    failure: operations,
    fence,
  }),
])

export const storeOutcomeSchema = v.variant('type', [
  v.strictObject({ type: v.literal('store.set'), revision: positive }),
  v.strictObject({ type: v.literal('store.deleted'), revision: positive, existed: v.boolean() }),
  v.strictObject({ type: v.literal('store.compared'), revision: positive, swapped: v.boolean() }),
  v.strictObject({
    type: v.literal('store.transacted'),
    revision: positive,
    succeeded: v.boolean(),
    results: v.array(
      v.variant('type', [
        v.strictObject({ type: v.literal('set') }),
        v.strictObject({ type: v.literal('delete'), existed: v.boolean() }),
        v.strictObject({
          type: v.literal('get'),
          record: v.nullable(v.strictObject({ value: bytes, revision: positive })),
        }),
      ]),
    ),
  }),
])

/** The part of a snapshot: items sorted by key. */
export const savedStoreSchema = v.array(
  v.strictObject({ key: v.string(), value: bytes, revision: positive, fence, session: v.nullable(positive) }),
)
