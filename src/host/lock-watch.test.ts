import { expect, it } from 'vitest'
import { acquire, lock, release, roomOf } from '../machine/test-script.js'
import { LockWatch } from './lock-watch.js'

const words = (watch: LockWatch) =>
  watch
    .take()
    .map(({ events, resync }) => [
      resync ? 'resync' : 'live',
      ...events.map(({ what, name, peerId, how, at }) => `${what} ${name} ${peerId} ${how} ${at}`),
    ])

function watched() {
  const { script, sessions } = roomOf('ann', 'bob')
  script.time = 5
  script.send(sessions.ann, lock('job/a'))
  script.send(sessions.ann, lock('other'))
  const watch = new LockWatch('job/', script.state)
  const tell = ({ lockEvents = [] }: ReturnType<typeof script.apply>) =>
    watch.happened(lockEvents, script.state.clusterTime)
  return { script, sessions, watch, tell }
}

it('[S-10] tells what is held, then every step of what begins so, in order', () => {
  const { script, sessions, watch, tell } = watched()
  script.time = 9
  tell(script.send(sessions.bob, lock('job/a')))
  tell(script.send(sessions.ann, release(1)))
  tell(script.send(sessions.ann, release(2)))
  expect(words(watch)).toEqual([
    ['resync', 'taken job/a ann granted 5'],
    ['live', 'freed job/a ann released 9', 'taken job/a bob granted 9'],
  ])
  expect(words(watch)).toEqual([])
})

it('[S-10] after a snapshot the difference to what was told comes at once, and nothing twice', () => {
  const { script, sessions, watch, tell } = watched()
  tell(script.send(sessions.bob, lock('job/b', { mode: 'shared' })))
  watch.take()
  script.time = 20
  script.send(sessions.bob, { type: 'lock.upgrade', request: 1, name: 'job/b' })
  script.send(sessions.ann, release(1))
  script.send(sessions.bob, acquire(['job/c', 'x']))
  watch.reconcile(script.state)
  tell(script.send(sessions.bob, release(1)))
  expect(words(watch)).toEqual([
    ['resync', 'freed job/a ann released 20', 'taken job/b bob upgraded 20', 'taken job/c bob granted 20'],
    ['live', 'freed job/b bob released 20'],
  ])
})

it('[S-10] of a hold that changes it says what was told of it, also after a snapshot', () => {
  const { script, sessions, watch, tell } = watched()
  const shared = () => script.send(sessions.bob, acquire('job/b', { owner: 'o', mode: 'shared' }))
  const upgrade = (request: number) => script.send(sessions.bob, { type: 'lock.upgrade', request, name: 'job/b' })
  const [first, second] = [shared(), shared()]
  tell(first)
  tell(second)
  const [token = 0] = watch
    .take()
    .flatMap(({ events }) => events.flatMap((event) => (event.peerId === 'bob' ? event.token : [])))
  tell(upgrade(1))
  const changes = () => watch.take().flatMap(({ events }) => events.map(({ how, before }) => [how, before]))
  expect(changes()).toEqual([['upgraded', { mode: 'shared', token }]])
  upgrade(2)
  watch.reconcile(script.state)
  expect(changes()).toEqual([['upgraded', { mode: 'shared', token }]])
  tell(script.send(sessions.bob, { type: 'lock.downgrade', request: 1, name: 'job/b' }))
  expect(changes()).toEqual([['downgraded', { mode: 'exclusive', token: expect.any(Number) }]])
})
