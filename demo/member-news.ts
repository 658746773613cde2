/** Who comes and goes, for the log of events. */
import type { Member } from '../src/index.js'
import type { EventLog } from './event-log.js'
import type { Directory, Person } from './person.js'

type Known = Pick<Member<Person>, 'role' | 'connected'>

export class MemberNews {
  readonly #directory: Directory
  readonly #log: EventLog
  readonly #known = new Map<string, Known>()
  /** Those who were here before this page are no news. */
  #isFirst = true

  constructor(directory: Directory, log: EventLog) {
    this.#directory = directory
    this.#log = log
  }

  show(members: readonly Member<Person>[]): void {
    this.#directory.learn(members)
    for (const member of members) if (!member.self && member.state !== undefined) this.#tell(member)
    const present = new Set(members.map(({ peerId }) => peerId))
    for (const peerId of [...this.#known.keys()]) {
      if (present.has(peerId)) continue
      this.#known.delete(peerId)
      this.#say(peerId, 'is a member no more')
    }
    if (members.length > 0) this.#isFirst = false
    this.#log.refresh()
  }

  /** A member has no name before its session is open: until then it is not spoken of. */
  #tell({ peerId, role, connected }: Member<Person>): void {
    const before = this.#known.get(peerId)
    this.#known.set(peerId, { role, connected })
    if (!before) {
      if (!this.#isFirst) this.#say(peerId, 'joins')
      return
    }
    if (before.role !== role) this.#say(peerId, `is a ${role} now`)
    if (before.connected !== connected) this.#say(peerId, connected ? 'is connected again' : 'is out of reach')
  }

  #say(peerId: string, what: string): void {
    this.#log.add(() => `${this.#directory.name(peerId)} ${what}`, peerId)
  }
}
