/** Seeds that have convicted the product once, each with its one-line cause. They run with every `npm test`. */
export const regressions: readonly { readonly seed: number; readonly cause: string }[] = [
  { seed: 17, cause: 'two tabs opened at once: one waited for ever for the identity that the other had seen first' },
  { seed: 26, cause: "S-1: a reloaded peer replayed its log and took an earlier life's session for its own" },
  { seed: 10, cause: 'a cancelled lock request was never answered' },
  { seed: 1019, cause: 'a cancelled lock request was never answered when its session ended' },
  { seed: 28, cause: 'L4: a resident that stopped itself was kept, so that nobody could take the node in again' },
  { seed: 1036, cause: 'L4: a tab that had met nobody yet did not know which nodes to take in' },
  { seed: 1123, cause: 'L2: nobody watched residents, whose links outlived them; a new leader counted on the silent' },
  {
    seed: 1245,
    cause: 'L2: a new tab took the identity of a living page whose worker had died, and ended its session',
  },
]
