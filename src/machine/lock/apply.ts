import { unreachable } from '../../shared/assert.js'
import type { Outcome } from '../outcome.js'
import type { Caller, Context } from '../state.js'
import type { LockAcquire, LockCommand } from './command.js'
import { release } from './ending.js'
import { request } from './request.js'
import { acknowledge, revoke } from './revoke.js'
import { downgrade, upgrade } from './share.js'

export function applyLock(context: Context, caller: Caller, command: LockCommand): Outcome {
  switch (command.type) {
    case 'lock.request':
      return request(context, caller, generalOf(command), true)
    case 'lock.acquire':
      return request(context, caller, command, false)
    case 'lock.release':
      return release(context, caller, command.request, command.name ?? null)
    case 'lock.upgrade':
      return upgrade(context, caller, command.request, command.name)
    case 'lock.downgrade':
      return downgrade(context, caller, command.request, command.name)
    case 'lock.revoke':
      return revoke(context, command.name, command.grace)
    case 'lock.acknowledge':
      return acknowledge(context, caller, command)
    default:
      return unreachable(command)
  }
}

function generalOf({ name, ...plain }: Extract<LockCommand, { type: 'lock.request' }>): LockAcquire {
  const nothing = { owner: null, scope: 'exact', priority: 0, maxHold: null, lockDelay: 0 } as const
  return { ...plain, ...nothing, type: 'lock.acquire', names: [name] }
}
