import { expect, it } from 'vitest'
import type { Instruction } from '../machine/command.js'
import { encodeInstruction } from '../machine/instruction.js'
import { lock, roomOf } from '../machine/test-script.js'
import { readSubmission } from './submissions.js'

const incarnation = { counter: 1, nonce: 'n' }
const bob = { peerId: 'bob', incarnation, browserId: 'b', resident: false, founded: true, joined: true, canApply: 1 }

it.each<Instruction>([
  { type: 'tick', term: 1 },
  { type: 'expire', session: 3, silence: 1e6, term: 1 },
  { type: 'close', peerId: 'ann', incarnation },
  { type: 'raise', version: 2 },
])('[S-6][F5] what only a leader may say is not taken from another peer: $type', (instruction) => {
  const { script, sessions } = roomOf('ann', 'bob')
  const read = (one: Instruction) => readSubmission(encodeInstruction(one), bob, script.state)
  expect(read(instruction)).toBeNull()
  const mine = { type: 'numbered', session: sessions.bob, number: 1, answered: 0, command: lock('a') } as const
  expect(read(mine)).toEqual(mine)
})
