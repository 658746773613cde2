import { expect, it } from 'vitest'
import { whenAborted } from './aborted.js'
import { ObservableValue } from './observable.js'

const stopping = () => {
  const controller = new AbortController()
  controller.signal.addEventListener('abort', (event) => event.stopImmediatePropagation())
  return controller
}

it('an abort is heard though a listener of the page keeps it to itself', () => {
  const controller = stopping()
  let calls = 0
  whenAborted(controller.signal, () => {
    calls += 1
  })
  controller.abort()
  expect(calls).toBeGreaterThan(0)
})

it('... and not once nobody listens any more', () => {
  const controller = stopping()
  let calls = 0
  whenAborted(controller.signal, () => {
    calls += 1
  })()
  controller.abort()
  expect(calls).toBe(0)
})

it('such an abort ends a subscription', async () => {
  const controller = stopping()
  const value = new ObservableValue(1)
  const told: number[] = []
  value.subscribe((now) => told.push(now), { signal: controller.signal })
  await Promise.resolve()
  controller.abort()
  value.set(2)
  await Promise.resolve()
  expect(told).toEqual([1])
})
