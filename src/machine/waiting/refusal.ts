import type { Outcome } from '../outcome.js'
import type { MachineState } from '../state.js'
import { type CycleStep, deadlockOf, type NodeKey, type Wait } from './graph.js'

/**
 * The answer to a command after which one of those nodes would wait for ever, or null. `nodes`: whose waits it makes, or makes harder to
 * meet. `waits`: everybody's, as they would be with the command applied; nothing may have been applied of it yet.
 */
export function refuseDeadlock(state: MachineState, nodes: readonly NodeKey[], waits: readonly Wait[]): Outcome | null {
  const cycle = deadlockOf(nodes, waits)
  return cycle && deadlock(state, cycle)
}

export function deadlock(state: MachineState, steps: readonly CycleStep[]): Outcome {
  const cycle = steps.map(({ session, owner, name }) => {
    return { peerId: state.sessions.get(session)?.peerId ?? '', owner, name }
  })
  const words = cycle.map(({ peerId, owner, name }) => {
    const who = owner === null ? peerId : `${peerId} (owner ${JSON.stringify(owner)})`
    return `${who} would wait for ${JSON.stringify(name.slice(0, 100))}`
  })
  const message = `this would be a deadlock: ${words.join(', ')}, and so on round`
  return { type: 'failed', failure: { code: 'deadlock', message, details: { cycle } } }
}
