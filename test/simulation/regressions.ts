/**
 * Runs that have convicted the product, or have had a checker convict it wrongly, each with its one-line cause; with the fix taken out they
 * fail. They run with every `npm test`. What random runs show too rarely to be pinned has a story of its own in `test/scenario/`.
 */
import type { Edition } from '../../src/simulation/run.js'

export interface Regression {
  readonly seed: number
  readonly cause: string
  /** Longer than what a seed draws for itself. */
  readonly chaosMs?: number
  /** The edition in which it failed, if not the present one: in another it is another run. */
  readonly edition?: Edition
}

const earlier = { edition: 1 } as const

export const regressions: readonly Regression[] = [
  {
    ...earlier,
    seed: 31,
    cause: "S-1: a reloaded peer replayed its log and took an earlier life's session for its own",
  },
  { ...earlier, seed: 15, cause: 'a lock request that was cancelled before its answer was never answered' },
  {
    ...earlier,
    seed: 17,
    cause: 'L1: two tabs opened at once: one waited for ever for the identity that the other had seen first',
  },
  { ...earlier, seed: 95, cause: 'L4: a tab that had met nobody yet did not know which nodes to take in' },
  {
    ...earlier,
    seed: 97,
    cause: 'L4: a resident whose disk had failed was kept, so that nobody could take the node in again',
  },
  { ...earlier, seed: 31434, cause: 'L4: a voter of an entry that never came to this browser was not taken in' },
  { ...earlier, seed: 50016, chaosMs: 90_000, cause: 'L4: voters that only a resident knew of were not taken in' },
  { ...earlier, seed: 50057, chaosMs: 90_000, cause: 'L4: every change of role put off the search for dead nodes' },
  {
    ...earlier,
    seed: 500799,
    cause: 'a lock request that was queued again in a later session was refused for want of room, and nobody told',
  },
  {
    edition: 2,
    seed: 701028,
    cause:
      'L4: a dead voter was not taken in while there was a leader, who waited for its vote to end a change of members',
  },
  {
    edition: 3,
    seed: 900096,
    cause:
      'S-5: a page that spoke more often than a quorum answered was never echoed: each word took the place of the one before',
  },
  {
    edition: 3,
    seed: 920463,
    cause:
      'S-10: a waiting request that a snapshot made ask again was asked for twice when its session ended too, and one was never released',
  },
  ...[710443, 710556].map((seed) => ({
    edition: 2 as const,
    seed,
    cause: 'M1: voters changed to some who had just died unseen, and nothing could be committed any more',
  })),
  {
    edition: 4,
    seed: 900056,
    cause: 'N3: a tab that had seen an identity before its history ended took it when its lock was free',
  },
  {
    edition: 7,
    seed: 700317,
    cause:
      'F4: a removed learner was linked with those who voted when it was a member, and never heard of the new leader',
  },
  {
    edition: 7,
    seed: 910538,
    cause: 'N3: the fork of a sibling was taken for one of this history, and of what was lost with it nothing was told',
  },
  {
    edition: 8,
    seed: 990089,
    cause:
      'T1: a lock-delay that was over let somebody in whose session the same entry ended, and the next one had the same token',
  },
  {
    edition: 8,
    seed: 990414,
    cause:
      'N3: on its way to the fork that its history had ended for, a page heard that this had ended too, and of what both had had nothing was told',
  },
  {
    edition: 8,
    seed: 994077,
    cause: 'checker: of two who were given a share by one entry, under one token, the one was taken for the other',
  },
  {
    edition: 8,
    seed: 994245,
    cause:
      'checker: a watch that was told a part of an entry, of which a snapshot knew no more, had no right to a resync',
  },
  {
    edition: 8,
    seed: 996512,
    cause:
      'checker: a watch that began in a peer that was in no room had no right to a resync, though it goes on from 0 on the next host',
  },
  {
    edition: 8,
    seed: 1001647,
    cause:
      'checker: a watch from now on, whose host died before it had said where it began, had no right to begin where the next host stood',
  },
  {
    edition: 8,
    seed: 1010358,
    cause:
      'checker: of a disk that was lost twice, the second time when it was empty, nobody knew any more what had been on it',
  },
]
