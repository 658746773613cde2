/** The live panel: this peer, the room, its members. It shows numbers that the room gives and keeps none of its own. */
import type { Member, Metrics, Room } from '../src/index.js'
import { byId, el, setText } from './dom.js'
import { type Directory, type Person, shortId } from './person.js'

/** The numbers, refreshed this often while the page can be seen, ms. */
const refreshEvery = 500
/** A worker that has not answered by then is not going to soon: its last numbers are shown as such, ms. */
const staleAfter = 2_000

const roles: Record<Metrics['role'], string> = {
  follower: 'follower',
  preCandidate: 'candidate',
  candidate: 'candidate',
  leader: 'leader',
}

const links: Record<NonNullable<Member['link']>, string> = {
  broadcast: 'same browser',
  webrtc: 'WebRTC',
  'webrtc-relayed': 'WebRTC via page',
  'peer-relay': 'via another peer',
  memory: 'memory',
}

export class Panel {
  readonly #room: Room<Person>
  readonly #directory: Directory
  readonly #numbers = byId('numbers', HTMLElement)
  readonly #fields = new Map<string, HTMLElement>()
  readonly #members = byId('members', HTMLElement)
  readonly #rows = new Map<string, MemberRow>()
  #asked: number | null = null

  constructor(room: Room<Person>, directory: Directory) {
    this.#room = room
    this.#directory = directory
    for (const field of this.#numbers.querySelectorAll<HTMLElement>('dd[data-field]')) {
      this.#fields.set(field.dataset['field'] ?? '', field)
    }
    room.members.subscribe((members) => this.#showMembers(members))
    room.addEventListener('leaderchange', () => this.#showLeader())
    room.addEventListener('statuschange', () => this.#showStatus())
    room.addEventListener('identitychange', () => this.#showStatus())
    this.#showStatus()
    this.#showLeader()
    setInterval(() => void this.#refresh(), refreshEvery)
    void this.#refresh()
  }

  showLocks(held: number, pending: number): void {
    this.#set('locks', String(held))
    this.#set('waiting', String(pending))
  }

  #set(field: string, text: string): void {
    const element = this.#fields.get(field)
    if (element) setText(element, text)
  }

  #showStatus(): void {
    const { status, peerId } = this.#room
    this.#set('status', status)
    document.body.classList.toggle('gone', status === 'left' || status === 'failed')
    this.#set('peer', peerId === '' ? '–' : shortId(peerId))
  }

  #showLeader(): void {
    const { leader } = this.#room
    this.#set('leader', leader === null ? 'none' : this.#directory.name(leader))
    for (const row of this.#rows.values()) row.showLeader(leader)
  }

  #showMembers(members: readonly Member<Person>[]): void {
    this.#directory.learn(members)
    for (const [peerId, row] of this.#rows) {
      if (members.some((member) => member.peerId === peerId)) continue
      row.element.remove()
      this.#rows.delete(peerId)
    }
    const ordered = [...members].sort((a, b) => Number(b.self) - Number(a.self) || (a.peerId < b.peerId ? -1 : 1))
    ordered.forEach((member, index) => {
      const row = this.#rows.get(member.peerId) ?? new MemberRow(member.peerId)
      this.#rows.set(member.peerId, row)
      row.show(member, this.#directory.person(member.peerId))
      if (this.#members.children[index] !== row.element) {
        this.#members.insertBefore(row.element, this.#members.children[index] ?? null)
      }
    })
    this.#members.classList.toggle('empty', members.length === 0)
    this.#showLeader()
  }

  async #refresh(): Promise<void> {
    if (document.visibilityState !== 'visible') return
    if (this.#asked !== null) {
      this.#numbers.classList.toggle('stale', performance.now() - this.#asked > staleAfter)
      return
    }
    this.#asked = performance.now()
    try {
      this.#showMetrics(await this.#room.metrics())
      this.#numbers.classList.remove('stale')
    } catch {
      // The room has ended; its status says so.
      this.#numbers.classList.add('stale')
    } finally {
      this.#asked = null
    }
  }

  #showMetrics(metrics: Metrics): void {
    const self = this.#room.peerId
    this.#set('role', metrics.learners.includes(self) ? 'learner' : roles[metrics.role])
    this.#set('term', String(metrics.term))
    this.#set('commit', String(metrics.commitIndex))
    this.#set('applied', String(metrics.appliedIndex))
    this.#set('log', String(Math.max(0, metrics.lastLogIndex - metrics.firstLogIndex + 1)))
    this.#set('snapshot', String(metrics.snapshotIndex))
    this.#set('pending', String(metrics.pendingCommands))
    this.#set('write', metrics.writeMs === null ? '–' : `${metrics.writeMs.toFixed(1)} ms`)
  }
}

class MemberRow {
  readonly element: HTMLElement
  readonly #peerId: string
  readonly #avatar = el('span', { class: 'avatar' })
  readonly #name = el('span', { class: 'member-name' })
  readonly #you = el('span', { class: 'you', text: 'you', hidden: true })
  readonly #crown = el('span', { class: 'crown', text: 'leader', hidden: true })
  readonly #role = el('span', { class: 'member-role' })
  readonly #link = el('span', { class: 'member-link' })
  readonly #rtt = el('span', { class: 'member-rtt' })

  constructor(peerId: string) {
    this.#peerId = peerId
    this.#avatar.ariaHidden = 'true'
    const first = el('span', { class: 'member-line' }, this.#name, this.#you, this.#crown)
    const second = el('span', { class: 'member-line detail' }, this.#role, this.#link)
    this.element = el(
      'li',
      { class: 'member', testid: `member-${peerId}`, title: peerId },
      this.#avatar,
      el('span', { class: 'member-text' }, first, second),
      this.#rtt,
    )
  }

  show({ self, role, connected, link, rtt }: Member<Person>, { name, hue }: Person): void {
    this.element.style.setProperty('--hue', String(hue))
    this.element.classList.toggle('away', !connected)
    setText(this.#avatar, initials(name))
    setText(this.#name, name)
    this.#you.hidden = !self
    setText(this.#role, role)
    setText(this.#link, self ? 'this page' : connected ? (link ? links[link] : '–') : 'not connected')
    setText(this.#rtt, self || rtt === null || !connected ? '' : `${rtt < 10 ? rtt.toFixed(1) : Math.round(rtt)} ms`)
  }

  showLeader(leader: string | null): void {
    this.#crown.hidden = leader !== this.#peerId
  }
}

function initials(name: string): string {
  return name
    .split(' ')
    .map((word) => word.slice(0, 1).toUpperCase())
    .slice(0, 2)
    .join('')
}
