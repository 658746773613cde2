import { expect, it } from 'vitest'
import { OwnLease } from './own-lease.js'
import { TestContext } from './test-context.js'

it('[S-8] an echo is handed on once the machine has applied what was committed when it left', () => {
  const context = new TestContext()
  const lease = new OwnLease(
    context,
    () => 1,
    () => null,
  )
  const heard = () => context.emitted.filter(({ type }) => type === 'heard').length
  const sentAt = { monotonic: 10, wall: 10 }
  const { appliedIndex } = context.machine
  lease.alive(sentAt)
  lease.echoed({ session: 1, sentAt, clusterTime: 0, commitIndex: appliedIndex + 1 })
  lease.deliver()
  expect(heard()).toBe(0)
  context.script.apply({ type: 'tick', term: 1 })
  expect(context.machine.appliedIndex).toBe(appliedIndex + 1)
  lease.deliver()
  expect(heard()).toBe(1)
})
