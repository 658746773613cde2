/** What happens to the browsers, and in what order: a pure function of the seed. How long it all takes in truth is the machine's affair. */
import { Prng } from '../../src/simulation/prng.js'

export const tabKinds = ['close', 'reload', 'away', 'crash', 'freeze', 'block', 'offline', 'lossy', 'show'] as const
export type TabKind = (typeof tabKinds)[number]
export type Kind = TabKind | 'kill' | 'server'

export interface Step {
  /** Since the beginning, ms. */
  readonly at: number
  readonly kind: Kind
  /** A tab's place counted from 0 over all browsers; of `kill` a browser's; of `server` always 0. */
  readonly target: number
  /** Until it is undone: a tab opened again, a page thawed, a server started. ms */
  readonly ms: number
}

export interface Stage {
  readonly browsers: number
  readonly tabs: number
  readonly ms: number
}

/** How often each happens, and how long it lasts: typically, and at most, ms. */
const habits: Readonly<Record<Kind, { readonly weight: number; readonly typical: number; readonly max: number }>> = {
  close: { weight: 5, typical: 800, max: 5_000 },
  reload: { weight: 5, typical: 0, max: 0 },
  away: { weight: 4, typical: 600, max: 4_000 },
  crash: { weight: 4, typical: 800, max: 5_000 },
  // Longer than the shortest lease of a lock, at times as long as the longest.
  freeze: { weight: 5, typical: 2_000, max: 12_000 },
  block: { weight: 4, typical: 1_500, max: 12_000 },
  offline: { weight: 3, typical: 1_500, max: 9_000 },
  lossy: { weight: 3, typical: 3_000, max: 9_000 },
  show: { weight: 4, typical: 0, max: 0 },
  kill: { weight: 1.5, typical: 1_000, max: 6_000 },
  server: { weight: 1.5, typical: 800, max: 5_000 },
}
/** Between two of them, ms. */
const gap = { typical: 500, max: 4_000 }

export function writeScript(seed: number, { browsers, tabs, ms }: Stage): Step[] {
  const prng = new Prng(`browser-chaos/${seed}`)
  const kinds = Object.keys(habits) as Kind[]
  const steps: Step[] = []
  for (let at = prng.tail(gap.typical, gap.max); at < ms; at += prng.tail(gap.typical, gap.max)) {
    const kind = draw(prng, kinds)
    const { typical, max } = habits[kind]
    const target = kind === 'server' ? 0 : prng.integer(0, (kind === 'kill' ? browsers : tabs) - 1)
    steps.push({ at: Math.round(at), kind, target, ms: Math.round(prng.tail(typical, max)) })
  }
  return steps
}

function draw(prng: Prng, kinds: readonly Kind[]): Kind {
  const total = kinds.reduce((sum, kind) => sum + habits[kind].weight, 0)
  let left = prng.between(0, total)
  for (const kind of kinds) {
    left -= habits[kind].weight
    if (left < 0) return kind
  }
  return 'reload'
}
