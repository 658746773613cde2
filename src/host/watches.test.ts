import { beforeEach, expect, it } from 'vitest'
import { lock, release } from '../machine/test-script.js'
import { TestContext } from './test-context.js'
import { lockRecord, Watches } from './watches.js'

let context: TestContext
let watches: Watches
/** What waits for a round to the quorum. */
let reads: (() => void)[]
let ann: number

beforeEach(() => {
  context = new TestContext()
  ann = context.script.open('ann')
  reads = []
  watches = new Watches(
    context,
    (view) => lockRecord(view, null),
    (run) => reads.push(run),
  )
})

const send = (command: ReturnType<typeof lock> | ReturnType<typeof release>) =>
  watches.happened(context.script.send(ann, command))

/** What each watch was told since the last call. */
const told = () => {
  watches.flush()
  return context.emitted.splice(0).map((event) => {
    if (event.type !== 'watched') throw new Error(`an unexpected ${event.type}`)
    const { id, value } = event
    if (value.type === 'lock') return `${id}: ${value.holders.map(({ peerId }) => peerId).join() || 'nobody'}`
    if (value.type === 'locks') return `${id}: ${value.events.map(({ what, name }) => `${what} ${name}`).join()}`
    throw new Error(`an unexpected ${value.type}`)
  })
}

it('one lock is shown as this machine has it, at once; if it is to be current, once this machine is', () => {
  watches.watch(1, { type: 'lock', name: 'a' })
  watches.watch(2, { type: 'lock', name: 'a', current: true })
  expect(told()).toEqual(['1: nobody'])
  send(lock('a'))
  expect(told()).toEqual(['1: ann'])
  for (const run of reads.splice(0)) run()
  expect(told()).toEqual(['2: ann'])
  send(release(1))
  expect(told()).toEqual(['1: nobody', '2: nobody'])
})

it('[S-10] locks are told of from when this machine is current: not of what an earlier host may have told already', () => {
  watches.watch(1, { type: 'locks', prefix: '' })
  send(lock('a'))
  send(release(1))
  send(lock('b'))
  watches.reconcile()
  expect(told()).toEqual([])
  for (const run of reads.splice(0)) run()
  send(release(3))
  expect(told()).toEqual(['1: taken b', '1: freed b'])
})

it('what is watched no more does not begin later', () => {
  watches.watch(1, { type: 'locks', prefix: '' })
  watches.watch(2, { type: 'lock', name: 'a', current: true })
  watches.unwatch(1)
  watches.unwatch(2)
  for (const run of reads.splice(0)) run()
  send(lock('a'))
  expect(told()).toEqual([])
})
