/** Longest key, in UTF-16 code units. */
export const storeKeyMax = 1024
/** Largest encoded value, bytes. */
export const valueBytesMax = 64 * 1024

/** A token that must be the one under which the named lock is held when the entry is applied (T2). */
export interface FenceCheck {
  readonly name: string
  readonly token: number
}

export type StoreCommand =
  | {
      readonly type: 'store.set'
      readonly key: string
      readonly value: Uint8Array
      readonly fence: FenceCheck | null
      readonly ephemeral: boolean
    }
  | { readonly type: 'store.delete'; readonly key: string; readonly fence: FenceCheck | null }
  /** Sets what is not ephemeral, if the key is as expected; one step, since it is one entry. */
  | {
      readonly type: 'store.compareAndSet'
      readonly key: string
      readonly expected: Expected
      readonly next: Uint8Array
    }
  /** Since version 2. Does `success` if every comparison holds, else `failure`; whole or not at all. */
  | {
      readonly type: 'store.transact'
      readonly compare: readonly Comparison[]
      readonly success: readonly TransactionOperation[]
      readonly failure: readonly TransactionOperation[]
      /** Of the whole; an operation may have one of its own beside it. */
      readonly fence: FenceCheck | null
    }

/** Of one key. As for `Expected`; but of what is not there neither `=` nor `!=` a value holds, as in etcd. */
export type Comparison =
  | { readonly key: string; readonly is: '=' | '!=' | '<' | '>'; readonly revision: number }
  | { readonly key: string; readonly is: '=' | '!='; readonly value: Uint8Array }

/** Done in their order; a `get` sees what stands before it in its list. */
export type TransactionOperation =
  | {
      readonly type: 'set'
      readonly key: string
      readonly value: Uint8Array
      readonly fence: FenceCheck | null
      readonly ephemeral: boolean
    }
  | { readonly type: 'delete'; readonly key: string; readonly fence: FenceCheck | null }
  | { readonly type: 'get'; readonly key: string }

/**
 * What a key must be, as etcd's Txn compares it (api/etcdserverpb/rpc.proto, Compare): a key that is not there has the
 * revision 0, which no other has, and equals no value, not even an empty one.
 */
export type Expected = { readonly revision: number } | { readonly value: Uint8Array }
