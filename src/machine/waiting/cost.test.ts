import { expect, it } from 'vitest'
import { encodeMachine } from '../machine.js'
import { acquire, lock, permits, roomOf, type Script } from '../test-script.js'

// Every replica applies every entry between two heartbeats: one entry may cost as much as some looks at the whole state, and no more.

function fastest(run: () => void): number {
  const took = [1, 2, 3, 4].map(() => {
    const from = performance.now()
    run()
    return performance.now() - from
  })
  return Math.min(...took)
}

const looks = (script: Script, run: () => void) => fastest(run) / fastest(() => encodeMachine(script.state))

function semaphore(owned: boolean): number {
  const owner = (of: string) => (owned ? of : null)
  const { script, sessions } = roomOf('ann', 'bob')
  for (let i = 0; i < 1_000; i += 1) script.send(sessions.ann, permits('a', 1, { permits: 100_000, owner: owner('o') }))
  script.send(sessions.bob, permits('a', 100_000))
  for (let i = 0; i < 50; i += 1) script.send(sessions.bob, permits('a', 1, { owner: owner(`${i}`) }))
  return looks(script, () => script.send(sessions.ann, permits('a', 1, { owner: owner('p') })))
}

function sharedLock(): number {
  const { script, sessions } = roomOf('ann')
  for (let i = 0; i < 1_000; i += 1) script.send(sessions.ann, acquire('a', { mode: 'shared', priority: 1 }))
  for (let i = 0; i < 50; i += 1) script.send(sessions.ann, acquire('a'))
  return looks(script, () => script.send(sessions.ann, acquire('a')))
}

function severalNames(): number {
  const names = Array.from({ length: 64 }, (_, i) => `n${i}`)
  const { script, sessions } = roomOf('ann', 'bob')
  for (const name of names) for (let i = 0; i < 40; i += 1) script.send(i % 2 ? sessions.ann : sessions.bob, lock(name))
  return looks(script, () => script.send(sessions.ann, acquire(names, { owner: 'p' })))
}

it.each([
  ['a semaphore with 1,000 holders and 50 that wait', () => semaphore(false), 1],
  ['a semaphore with as many, of owners', () => semaphore(true), 80],
  ['a lock that 1,000 share and 50 wait for', sharedLock, 80],
  ['64 names that 39 wait for each', severalNames, 60],
] as const)('who asks for %s costs little', (_what, measured, most) => {
  expect(measured()).toBeLessThan(most)
})
