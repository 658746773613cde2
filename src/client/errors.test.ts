import { describe, expect, it } from 'vitest'
import { type FailureCode, failureCodes } from '../shared/failure.js'
import * as errors from './errors.js'

const { ComityError, errorOf } = errors

/** What the far side sends along with each code, and what the error has to show of it. */
const details: Partial<Record<FailureCode, { readonly given: Record<string, unknown>; readonly shown: object }>> = {
  'no-quorum': { given: { missing: ['ann', 'bob'] }, shown: { name: 'NoQuorumError', missing: ['ann', 'bob'] } },
  'room-left': { given: {}, shown: { name: 'RoomLeftError' } },
  'room-auth': { given: {}, shown: { name: 'RoomAuthError' } },
  'incompatible-peer': { given: {}, shown: { name: 'IncompatiblePeerError' } },
  signaling: { given: {}, shown: { name: 'SignalingError', retryable: true } },
  unsupported: { given: { missing: 'workers' }, shown: { name: 'UnsupportedError', missing: 'workers' } },
  'worker-blocked': {
    given: { directive: 'child-src' },
    shown: { name: 'WorkerBlockedError', directive: 'child-src' },
  },
  storage: { given: { reason: 'quota' }, shown: { name: 'StorageError', reason: 'quota' } },
  'limit-exceeded': {
    given: { limit: 'locks', value: 256 },
    shown: { name: 'LimitExceededError', limit: 'locks', value: 256 },
  },
  'outcome-unknown': { given: { retryable: false }, shown: { name: 'OutcomeUnknownError', retryable: false } },
  'lock-revoked': { given: { grace: 250 }, shown: { name: 'LockRevokedError', grace: 250 } },
  deadlock: {
    given: {
      cycle: [
        { peerId: 'ann', owner: 'editor', name: 'a' },
        { peerId: 'bob', owner: null, name: 'b' },
      ],
    },
    shown: {
      name: 'DeadlockError',
      retryable: true,
      cycle: [
        { clientId: 'ann', owner: 'editor', name: 'a' },
        { clientId: 'bob', owner: null, name: 'b' },
      ],
    },
  },
  'stale-fence': { given: { current: 12 }, shown: { name: 'StaleFenceError', current: 12 } },
}

describe.each(failureCodes)('the failure %s', (code) => {
  it('becomes an error with that code, and its message', () => {
    const error = errorOf({ code, message: 'what was expected', details: details[code]?.given ?? {} })
    expect(error).toBeInstanceOf(ComityError)
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ code, ...(details[code]?.shown ?? {}) })
    if (code !== 'no-quorum') expect(error.message).toBe('what was expected')
    expect(String(error)).toBe(`${error.name}: ${error.message}`)
    expect(typeof error.retryable).toBe('boolean')
  })

  it('... without details, too', () => {
    const error = errorOf({ code, message: 'what was expected' })
    expect(error.code).toBe(code)
  })
})

it('a class has the name under which it is exported', () => {
  const classes = Object.entries(errors).filter(([name]) => name.endsWith('Error'))
  expect(classes.length).toBeGreaterThan(10)
  for (const code of failureCodes) {
    const error = errorOf({ code, message: '' })
    expect(error.constructor.name).toBe(error.name)
    expect(classes.map(([exported]) => exported)).toContain(error.name)
  }
})

it('those that the client makes itself', () => {
  expect(new errors.LockTimeoutError('a', 50)).toMatchObject({
    name: 'LockTimeoutError',
    code: 'lock-timeout',
    retryable: true,
  })
  expect(new errors.LockLostError('a', 'stolen')).toMatchObject({
    name: 'LockLostError',
    code: 'lock-lost',
    reason: 'stolen',
  })
  expect(new errors.OptionsMismatchError('links')).toMatchObject({ code: 'options-mismatch', option: 'links' })
  const cause = new Error('below')
  expect(new errors.SignalingError('above', { cause })).toMatchObject({ cause, retryable: true })
  expect('cause' in new errors.RoomLeftError()).toBe(false)
})
