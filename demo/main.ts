/** The demo page: one room, one document, and a panel to watch them by. */
import { join, type Room, type RoomStatus } from '../src/index.js'
import { parts } from './content.js'
import { byId, setText } from './dom.js'
import { EventLog } from './event-log.js'
import { connectFaults, connectLinksSwitch, SignalingSwitch } from './faults.js'
import { LockTable } from './lock-table.js'
import { MemberNews } from './member-news.js'
import { Panel } from './panel.js'
import { Paragraph } from './paragraph.js'
import { CardView } from './paragraph-view.js'
import { chip, claimPerson, Directory, type Person } from './person.js'
import { connectRecovery } from './recovery.js'
import { StatusLine } from './status-line.js'
import { endWorkers, rememberWorkers, workersEnded } from './workers.js'

const roomDefault = 'demo'
/** The certainty of a lock ends without an event: what is shown of it is read anew this often, ms. */
const renderEvery = 250

async function main(): Promise<void> {
  rememberWorkers()
  followWidth()
  const name = roomName()
  setText(byId('room-name', HTMLElement), name)
  byId('another', HTMLAnchorElement).href = location.href
  // Another room is another page: nothing of this one is left behind in it.
  addEventListener('hashchange', () => location.reload())

  showSkeletons()
  const status = new StatusLine()
  const directory = new Directory()
  const log = new EventLog(directory)
  new SignalingSwitch(log, status)
  const links = connectLinksSwitch()
  const self = await claimPerson()
  byId('me', HTMLElement).replaceChildren(chip(self, true))
  let room: Room<Person>
  try {
    const signaling = `${location.protocol.replace('http', 'ws')}//${location.host}/signal`
    // 'local': the room is there to be shown from the first moment, also while it has no quorum.
    room = await join<Person>(name, { signaling, links, state: self, until: 'local' })
  } catch (error) {
    status.fail(error)
    return
  }
  directory.setSelf(room.peerId, self)
  room.addEventListener('identitychange', ({ detail }) => directory.setSelf(detail.peerId, self))
  status.follow(room, directory)
  const panel = new Panel(room, directory)
  const finish = showDocument(room, { self, directory, log, panel })
  followRoom(room, directory, log)
  connectRecovery({ room, directory, log })
  connectFaults({ room, log, status, finish, endWorker: endWorkers })
}

interface Parts {
  readonly self: Person
  readonly directory: Directory
  readonly log: EventLog
  readonly panel: Panel
}

/** Answers with what gives back all that this page holds, with its last words. */
function showDocument(room: Room<Person>, { self, directory, log, panel }: Parts): () => Promise<unknown> {
  const live = byId('announce', HTMLElement)
  const table = new LockTable(room, () => {
    panel.showLocks(table.held, table.pending)
    render()
  })
  const context = {
    room,
    self,
    directory,
    lockChanged: () => table.refresh(),
    isPresent: () => (room.status === 'ready' || room.status === 'no-quorum') && !workersEnded(),
    tokenOf: (lock: string) => table.tokenOf(lock),
    log,
    announce: (text: string) => setText(live, text),
    granted: (number: number) => tellOfGrant(number, live),
  }
  const paragraphs = parts.map((part) => new Paragraph(part, context))
  const render = () => {
    for (const paragraph of paragraphs) paragraph.render()
  }
  byId('paragraphs', HTMLElement).replaceChildren(...paragraphs.map(({ element }) => element))
  room.members.subscribe(render)
  setInterval(render, renderEvery)
  table.refresh()
  warnOfUnsaved(() => paragraphs.some(({ unsaved }) => unsaved))
  return () => Promise.all(paragraphs.map((paragraph) => paragraph.done()))
}

/** Who waits may be looking at another tab: then the title says it, until they are back. */
function tellOfGrant(number: number, live: HTMLElement): void {
  const text = `You can edit paragraph ${number}.`
  setText(live, text)
  if (document.visibilityState === 'visible') return
  const { title } = document
  document.title = `● ${text}`
  const restore = () => {
    document.title = title
  }
  document.addEventListener('visibilitychange', restore, { once: true })
}

/** What the document looks like before there is one: nothing moves when it comes. */
function showSkeletons(): void {
  const none = {
    mode: 'away',
    by: null,
    holder: null,
    token: null,
    queue: [],
    place: null,
    saving: null,
    notice: null,
  } as const
  const nothing = () => {}
  const actions = { edit: nothing, cancel: nothing, done: nothing, input: nothing, dismiss: nothing }
  const cards = parts.map(({ number, text }) => {
    const view = new CardView(number, actions)
    view.render({ ...none, text, loading: true })
    return view.element
  })
  byId('paragraphs', HTMLElement).replaceChildren(...cards)
}

/** Only while something is unsaved: a page that always asks is never kept by the back/forward cache. */
function warnOfUnsaved(isUnsaved: () => boolean): void {
  const warn = (event: BeforeUnloadEvent) => event.preventDefault()
  setInterval(() => {
    if (isUnsaved()) addEventListener('beforeunload', warn)
    else removeEventListener('beforeunload', warn)
  }, renderEvery)
}

const statusNews: Record<RoomStatus, string> = {
  joining: 'This peer looks for its room',
  ready: 'This peer is ready',
  'no-quorum': 'No majority in reach',
  suspended: 'This page was put aside',
  failed: 'This peer has failed',
  left: 'You left the room',
}

function followRoom(room: Room<Person>, directory: Directory, log: EventLog): void {
  room.addEventListener('leaderchange', ({ detail: { leader, term } }) => {
    if (leader === null) log.add('No leader in sight')
    else
      log.add(
        () => `${directory.isSelf(leader) ? 'You lead' : `${directory.name(leader)} leads`} in term ${term}`,
        leader,
      )
  })
  let { status: before } = room
  room.addEventListener('statuschange', ({ detail: { status } }) => {
    // Told anew when it is known who is missing.
    if (status !== before) log.add(statusNews[status])
    before = status
  })
  room.addEventListener('error', ({ detail }) => log.add(`Error: ${detail.message}`))
  const news = new MemberNews(directory, log)
  room.members.subscribe((members) => news.show(members))
}

function roomName(): string {
  try {
    return decodeURIComponent(location.hash.slice(1)) || roomDefault
  } catch {
    return roomDefault
  }
}

/** Beside the document there is room for all of the panel; above it, on a phone, for one line. */
function followWidth(): void {
  const panel = byId('panel', HTMLDetailsElement)
  matchMedia('(min-width: 60rem)').addEventListener('change', ({ matches }) => {
    panel.open = matches
  })
}

void main()
