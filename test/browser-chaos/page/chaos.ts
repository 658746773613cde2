/** A page that joins its room as soon as it is there, and whose users work as long as it lives. */
import { ComityError, join, type LockOptions, type Room } from '../../../src/index.js'
import { now, User } from '../../browser/pages/users.js'
import type { ChaosPage, Part } from './protocol.js'

const part = JSON.parse(decodeURIComponent(location.hash.slice(1))) as Part
const life = `${part.tab}-${crypto.randomUUID().slice(0, 4)}`
const note = (what: string) => void window.note?.(life, what)
const rest = (ms: number): Promise<void> => window.rest?.(ms) ?? Promise.reject(new Error('the test exposes no rest()'))
let room: Room | null = null
let shift: Shift | null = null

/** The users of one stay: what those of an earlier one still wait for may never come. */
class Shift {
  readonly auditor: User
  readonly done: Promise<unknown>
  isOver = false

  constructor(joined: Room, name: string) {
    const user = (role: string) =>
      new User(joined, {
        client: `${name} ${role}`,
        locks: part.locks,
        keys: () => registers(),
        isOver: () => this.isOver,
        rest: () => rest(Math.random() * part.restMs),
        lockOptions: () => pick<LockOptions>([{ lease: 1_500 }, {}, { timeout: 3_000 }]),
      })
    this.auditor = user('auditor')
    const work = [user('user').store(0.5), user('holder').lock(), user('writer').append()]
    this.done = Promise.all(work).catch((error) => note(`FAILED a user: ${String(error)}`))
  }
}

const pick = <T>(from: readonly [T, ...T[]]): T => from[Math.floor(Math.random() * from.length)] ?? from[0]

/** The season's two, the same in all tabs. */
function registers(): readonly string[] {
  const season = Math.floor(now() / part.seasonMs)
  return [`register ${season}a`, `register ${season}b`]
}

/** Until it is in: a server that is away is part of the game. */
async function enter(): Promise<void> {
  for (;;) {
    try {
      // Local: whoever waits for the room in vain can say what he sees of it.
      room = await join(part.room, { signaling: part.signaling, until: 'local' })
      break
    } catch (error) {
      const isExpected = error instanceof ComityError && error.code === 'signaling'
      note(`${isExpected ? '' : 'FAILED '}join: ${String(error)}`)
      await rest(300)
    }
  }
  const joined = room
  note(`joined as ${joined.peerId}, ${joined.status}`)
  joined.addEventListener('statuschange', ({ detail }) => {
    const missing = detail.missing.length > 0 ? ` without ${detail.missing.join()}` : ''
    note(`${detail.status === 'failed' ? 'FAILED ' : ''}status ${detail.status}${missing}`)
  })
  joined.addEventListener('leaderchange', ({ detail }) => note(`leader ${detail.leader} in term ${detail.term}`))
  joined.addEventListener('identitychange', ({ detail }) => note(`is now ${detail.peerId}`))
  joined.addEventListener('error', ({ detail }) => note(`error ${detail.name}: ${detail.message}`))
  shift = new Shift(joined, life)
}

let stays = 1
addEventListener('pageshow', ({ persisted }) => {
  if (!persisted || !room || !shift) return
  note('is back from the cache')
  shift.isOver = true
  stays += 1
  shift = new Shift(room, `${life}.${stays}`)
})
for (const type of ['freeze', 'resume'] as const) document.addEventListener(type, () => note(type))

function present(): Shift {
  if (!shift) throw new Error('has not joined')
  return shift
}

const page: ChaosPage = {
  state: () => ({
    life,
    peerId: room?.peerId ?? null,
    status: room?.status ?? null,
    leader: room?.leader ?? null,
    links: room?.members.current.map(({ peerId, role, link }) => `${peerId.slice(0, 4)} ${role} ${link}`) ?? [],
  }),
  metrics: async () => room?.metrics(),
  async locks() {
    const holders = new Map<string, string[]>()
    for (const { clientId = '', name = '' } of (await navigator.locks.query()).held ?? []) {
      const names = holders.get(clientId) ?? []
      holders.set(clientId, names)
      names.push(name)
    }
    return [...holders.values()].map((names) => names.sort().join(' '))
  },
  probe: () => present().auditor.probe(`probe ${life}`),
  async finish() {
    const { done } = present()
    present().isOver = true
    await done
  },
  async read(keys) {
    for (const key of keys) await present().auditor.get(key)
  },
  block(ms) {
    const request = new XMLHttpRequest()
    request.open('GET', `/blocked-for/${ms}`, false)
    request.send()
  },
}

window.chaos = page
void enter()
