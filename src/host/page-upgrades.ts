import type { Outcome } from '../machine/outcome.js'
import type { Failure } from '../shared/failure.js'
import type { Answers, LockHandle, Reply } from './page.js'

type Upgraded = Answers['lock.upgrade']

interface Pending {
  readonly handle: LockHandle
  readonly name: string
  readonly reply: (reply: Reply<Upgraded>) => void
}

/** The page's upgrades that are not answered: a call waits until its share is exclusive, is lost, or is left as it is. */
export class PageUpgrades {
  /** The room has them in its queue. */
  #queued: Pending[] = []

  begin(handle: LockHandle, name: string, reply: Pending['reply']): Pending {
    return { handle, name, reply }
  }

  /** The command's answer. `isHeld`: the page has the share still. */
  answered(pending: Pending, result: Outcome | Failure, isHeld: boolean): void {
    if (!('type' in result)) pending.reply({ ok: false, failure: result })
    else if (result.type === 'failed') pending.reply({ ok: false, failure: result.failure })
    else if (result.type === 'lock.upgraded') pending.reply(done(result))
    else if (result.type === 'lock.queued' && isHeld) this.#queued.push(pending)
    else pending.reply({ ok: false, failure: givenUp(pending.name) })
  }

  done(handle: LockHandle, name: string, grant: Upgraded): void {
    for (const { reply } of this.#take(handle, name)) reply(done(grant))
  }

  fail(handle: LockHandle, name: string): void {
    for (const { reply } of this.#take(handle, name)) reply({ ok: false, failure: givenUp(name) })
  }

  #take(handle: LockHandle, name: string): Pending[] {
    const isIt = (pending: Pending) => pending.handle === handle && pending.name === name
    const taken = this.#queued.filter(isIt)
    this.#queued = this.#queued.filter((pending) => !isIt(pending))
    return taken
  }
}

function done({ token, since }: Upgraded): Reply<Upgraded> {
  return { ok: true, value: { token, since } }
}

function givenUp(name: string): Failure {
  const message = `the upgrade of ${JSON.stringify(name.slice(0, 100))} was given up: its share was lost, released or downgraded`
  return { code: 'lock-lost', message, details: { name } }
}
