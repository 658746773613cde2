import type { Command } from '../machine/command.js'

/**
 * Asks for something that its session is to hold. What it got has ended with the session, so asking again in the next one takes nothing
 * twice (S-2): a wait outlives its session.
 */
export function isRequest({ type }: Command): boolean {
  return type === 'lock.request' || type === 'lock.acquire' || type === 'semaphore.acquire'
}

/** What is left of it when the session has ended is what is left of the request: nothing. It is answered as a release is. */
export function isAboutRequest({ type }: Command): boolean {
  return (
    type === 'lock.release' ||
    type === 'lock.upgrade' ||
    type === 'lock.downgrade' ||
    type === 'lock.acknowledge' ||
    type === 'semaphore.release'
  )
}
