import { beforeEach, describe, expect, it } from 'vitest'
import { Reads } from './reads.js'
import { TestContext } from './test-context.js'

let context: TestContext
let reads: Reads
let log: string[]

beforeEach(() => {
  context = new TestContext()
  reads = new Reads(context)
  log = []
})

const read = (label: string, after: () => boolean = () => true) =>
  reads.read(
    after,
    () => log.push(`${label} served`),
    (failure) => log.push(`${label} ${failure.code}`),
  )
const asked = () => context.core.reads.splice(0)

describe('[R1] a linearizable read', () => {
  it('is served once the machine has applied the confirmed index', () => {
    const index = context.machine.appliedIndex
    read('a')
    const [id = 0] = asked()
    reads.serve()
    reads.confirmed([{ id, index: index + 1 }])
    reads.serve()
    expect(log).toEqual([])
    context.script.open('bob')
    reads.serve()
    reads.serve()
    expect(log).toEqual(['a served'])
    expect(reads.pending).toBe(0)
  })

  it('has an id of its own, never that of a mere round', () => {
    read('a')
    read('b')
    const ids = asked()
    expect(new Set(ids).size).toBe(2)
    expect(ids).not.toContain(0)
  })

  it('waits for what this page submitted before it', () => {
    let answered = false
    read('a', () => answered)
    const [id = 0] = asked()
    reads.confirmed([{ id, index: 0 }])
    reads.serve()
    expect(log).toEqual([])
    answered = true
    reads.serve()
    expect(log).toEqual(['a served'])
  })

  it('one that waits does not hold up the others', () => {
    read('a', () => false)
    read('b')
    const [a = 0, b = 0] = asked()
    reads.confirmed([
      { id: b, index: 0 },
      { id: a, index: 0 },
    ])
    reads.serve()
    expect(log).toEqual(['b served'])
  })

  it('[S63] that failed for want of a leader is asked again when there is one, and not before', () => {
    read('a')
    const [id = 0] = asked()
    context.core.leader = null
    reads.confirmed([{ id, index: null }])
    reads.tick()
    expect(asked()).toEqual([])
    reads.leaderChanged()
    expect(asked()).toEqual([id])
    reads.leaderChanged()
    expect(asked()).toEqual([])
    reads.confirmed([{ id, index: 0 }])
    reads.serve()
    expect(log).toEqual(['a served'])
  })

  it('that failed under a leader that is still there is asked again with time', () => {
    read('a')
    const [id = 0] = asked()
    reads.confirmed([{ id, index: null }])
    reads.tick()
    expect(asked()).toEqual([id])
  })

  it('answers to nobody are ignored', () => {
    reads.confirmed([
      { id: 0, index: 5 },
      { id: 77, index: null },
    ])
    reads.serve()
    expect(log).toEqual([])
  })

  it('is told when the host fails, once', () => {
    read('a')
    read('b')
    reads.fail({ code: 'storage', message: 'gone' })
    reads.fail({ code: 'storage', message: 'gone' })
    reads.confirmed([{ id: asked()[0] ?? 0, index: 0 }])
    reads.serve()
    expect(log).toEqual(['a storage', 'b storage'])
  })
})
