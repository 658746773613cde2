/** Asking for a lock back: until those who were asked hold it no more. */
import type { Answers, LockRecord } from '../host/page.js'
import type { RoomConnection } from './connection.js'

type Asked = Answers['lock.revoke']['asked']

export interface Revocation {
  /** Resolves when it is over; rejects when the room is. */
  readonly done: Promise<void>
  /** Waits no longer: what was asked for stays asked for. */
  cancel(error: unknown): void
}

export function revoke(connection: RoomConnection, name: string, grace: number): Revocation {
  let settle: { readonly resolve: () => void; readonly reject: (error: unknown) => void } | null = null
  let stopWatch = () => {}
  const done = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject }
  })
  const end = (how: 'resolve' | 'reject', error?: unknown) => {
    if (!settle) return
    if (how === 'resolve') settle.resolve()
    else settle.reject(error)
    settle = null
    stopWatch()
    stopListening()
  }
  const stopListening = connection.listen({ ended: (error) => end('reject', error) })
  connection.call({ type: 'lock.revoke', name, grace }).then(
    ({ asked }) => {
      if (!settle) return
      if (asked.length === 0) end('resolve')
      // A later host may be behind the answer, and show the lock as it was before any of them had it.
      else
        stopWatch = connection.watch({ type: 'lock', name, current: true }, (watched) => {
          if (watched.type === 'lock' && !isHeldByAny(watched.holders, asked)) end('resolve')
        })
    },
    (error: unknown) => end('reject', error),
  )
  return { done, cancel: (error) => end('reject', error) }
}

/** Who upgrades meanwhile has another token, and was asked all the same. */
function isHeldByAny(holders: readonly LockRecord[], asked: Asked): boolean {
  return holders.some((holder) =>
    asked.some(({ peerId, token }) => peerId === holder.peerId && (token === holder.token || holder.revoked)),
  )
}
