import * as v from 'valibot'
import { compareStrings } from '../../shared/codec.js'
import type { Primitive } from '../primitive.js'
import { applyStore } from './apply.js'
import type { StoreCommand } from './command.js'
import { endItems } from './items.js'
import { itemSize } from './limits.js'
import { savedStoreSchema } from './schema.js'

export const storePrimitive: Primitive<StoreCommand> = {
  apply: applyStore,
  sessionEnded: endItems,
  sessionSilent: () => {},
  leases: () => [],
  save: (state) =>
    [...state.store.items].sort(([a], [b]) => compareStrings(a, b)).map(([key, item]) => ({ key, ...item })),
  load: ({ store, sessions }, saved) => {
    for (const { key, ...item } of v.parse(savedStoreSchema, saved)) {
      if (item.session !== null && !sessions.has(item.session)) {
        throw new TypeError('a snapshot has an ephemeral item of no session')
      }
      store.items.set(key, item)
      store.size += itemSize(key, item.value)
    }
  },
}
