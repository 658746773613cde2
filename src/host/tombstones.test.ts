import { describe, expect, it } from 'vitest'
import { encodeInstruction } from '../machine/instruction.js'
import { applyEntry } from '../machine/machine.js'
import { put, roomOf } from '../machine/test-script.js'
import type { Entry } from '../raft/entry.js'
import { Tombstones } from './tombstones.js'

const remove = (key: string) => ({ type: 'store.delete', key, fence: null }) as const

/** A room with one session, and what is told of its deletions. */
function room() {
  const { script, sessions } = roomOf('ann')
  const tombstones = new Tombstones(1)
  let number = 0
  const send = (command: ReturnType<typeof put> | ReturnType<typeof remove>) => {
    number += 1
    const data = encodeInstruction({ type: 'numbered', session: sessions.ann, number, answered: number - 1, command })
    const { state } = script
    const entry: Entry = { term: 1, index: state.appliedIndex + 1, time: 0, type: 'command', data }
    tombstones.note(applyEntry(state, entry), state)
    return state.appliedIndex
  }
  return { machine: script.state, tombstones, send }
}

describe('[N3] deletions', () => {
  it('are told of unless the key is there again; of what was never there nothing is', () => {
    const { machine, tombstones, send } = room()
    for (const key of ['a', 'b', 'c']) send(put(key))
    const [first, second] = [send(remove('a')), send(remove('b'))]
    send(remove('never there'))
    send(remove('c'))
    send(put('c'))
    const of = (...deleted: { key: string; revision: number }[]) => ({ deleted, complete: true })
    expect(tombstones.since(1, machine)).toEqual(of({ key: 'a', revision: first }, { key: 'b', revision: second }))
    expect(tombstones.since(second, machine)).toEqual(of({ key: 'b', revision: second }))
  })

  it('are remembered in a bounded number, and it is said when some are missing', () => {
    const { machine, tombstones, send } = room()
    const revisions = Array.from({ length: 300 }, (_, i) => {
      send(put(`key ${i}`))
      return send(remove(`key ${i}`))
    })
    const all = tombstones.since(1, machine)
    expect(all.complete).toBe(false)
    expect(all.deleted).toHaveLength(256)
    expect(tombstones.since(revisions[44] ?? 0, machine)).toMatchObject({ complete: true, deleted: { length: 256 } })
    expect(tombstones.since(revisions[43] ?? 0, machine).complete).toBe(false)
  })

  it('of before a snapshot are not known', () => {
    const { machine } = room()
    expect(new Tombstones(10).since(9, machine).complete).toBe(false)
    expect(new Tombstones(10).since(10, machine).complete).toBe(true)
  })
})
