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

it('[S-7] what the page was told is dealt with when it has answered what it was asked after that, though it speaks by itself once', () => {
  const context = new TestContext()
  const lease = new OwnLease(
    context,
    () => 1,
    () => null,
  )
  let done = 0
  const answer = () => lease.alive({ monotonic: 10, wall: 10 })
  const asked = () => context.emitted.splice(0).filter(({ type }) => type === 'ask').length
  lease.ask()
  lease.confirm(() => {
    done += 1
  })
  expect(asked()).toBe(2)
  // The answer to the first question, and a word of its own: what came after them the page may not have seen.
  answer()
  answer()
  expect([asked(), done]).toEqual([1, 0])
  // That to the second.
  answer()
  expect(done).toBe(1)
})
