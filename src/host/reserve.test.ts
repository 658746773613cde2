import { expect, it } from 'vitest'
import { Reserve, type Standing } from './reserve.js'

const follower: Standing = { isVoter: true, isFollower: true, leader: 'ann' }

function unneeded(reserve: Reserve, times: number, standing = follower): void {
  for (let i = 0; i < times; i += 1) reserve.written(standing, true)
}

it('a voter that the others were enough without, three times in a row, takes its time', () => {
  const reserve = new Reserve()
  unneeded(reserve, 2)
  expect(reserve.lingerFor(follower)).toBe(0)
  unneeded(reserve, 1)
  expect(reserve.lingerFor(follower)).toBe(20)
})

it('who is waited for once hurries again', () => {
  const reserve = new Reserve()
  unneeded(reserve, 100)
  reserve.written(follower, false)
  unneeded(reserve, 2)
  expect(reserve.lingerFor(follower)).toBe(0)
})

it('what it knows is of one leader', () => {
  const reserve = new Reserve()
  unneeded(reserve, 5)
  expect(reserve.lingerFor({ ...follower, leader: 'bob' })).toBe(0)
  expect(reserve.lingerFor({ ...follower, leader: null })).toBe(0)
  unneeded(reserve, 2, { ...follower, leader: 'bob' })
  expect(reserve.lingerFor({ ...follower, leader: 'bob' })).toBe(0)
})

it('a learner is never waited for, which says nothing of the voter that it becomes', () => {
  const reserve = new Reserve()
  unneeded(reserve, 9, { ...follower, isVoter: false })
  expect(reserve.lingerFor(follower)).toBe(0)
})

it('a leader, or who wants to be one, never lingers; nobody waits for a learner', () => {
  const reserve = new Reserve()
  unneeded(reserve, 5)
  expect(reserve.lingerFor({ ...follower, isFollower: false })).toBe(0)
  expect(new Reserve().lingerFor({ isVoter: false, isFollower: true, leader: null })).toBe(50)
})
