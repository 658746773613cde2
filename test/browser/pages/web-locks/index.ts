import { argumentScenarios } from './arguments.js'
import { queryScenarios } from './query.js'
import { queueingScenarios } from './queueing.js'
import type { Scenario } from './scenario.js'
import { signalScenarios } from './signal.js'
import { stealScenarios } from './steal.js'

/** Everything that both managers are put through. */
export const scenarios: Readonly<Record<string, readonly Scenario[]>> = {
  arguments: argumentScenarios,
  queueing: queueingScenarios,
  signal: signalScenarios,
  steal: stealScenarios,
  query: queryScenarios,
}
