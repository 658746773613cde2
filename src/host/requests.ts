import type { Command } from '../machine/command.js'

/**
 * Asks for something that its session is to hold. What it got has ended with the session, so asking again in the next one takes nothing
 * twice (S-2): a wait outlives its session.
 */
export function isRequest({ type }: Command): boolean {
  return type === 'lock.request' || type === 'semaphore.acquire'
}

/** Gives back what its session held, or waited for: with the session's end it has no object left. */
export function isRelease({ type }: Command): boolean {
  return type === 'lock.release' || type === 'semaphore.release'
}
