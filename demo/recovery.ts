/** The way out when the quorum is gone, and what a person is told when the room's history has split or ended. */
import type { Room, RoomReset } from '../src/index.js'
import { parts } from './content.js'
import { byId, el, messageOf, setText } from './dom.js'
import type { EventLog } from './event-log.js'
import type { Directory, Person } from './person.js'

/** Most who are missing are back by then, or go unmissed: nobody is asked to decide before, ms. */
const offeredAfter = 4_000

export interface RecoveryContext {
  readonly room: Room<Person>
  readonly directory: Directory
  readonly log: EventLog
}

export function connectRecovery(context: RecoveryContext): void {
  connectWayOut(context)
  const reset = byId('reset', HTMLElement)
  byId('reset-dismiss', HTMLButtonElement).addEventListener('click', () => {
    reset.hidden = true
  })
  context.room.addEventListener('reset', ({ detail }) => {
    context.log.add(detail.cause === 'forked' ? 'The room goes on without the missing' : 'Another history goes on')
    showReset(detail)
    reset.hidden = false
  })
}

function connectWayOut({ room, directory, log }: RecoveryContext): void {
  const offer = byId('status-recover', HTMLButtonElement)
  const dialog = byId('recovery', HTMLDialogElement)
  const confirm = byId('recovery-confirm', HTMLButtonElement)
  const failure = byId('recovery-failure', HTMLElement)
  let timer: ReturnType<typeof setTimeout> | undefined
  let missing: readonly string[] = []
  const show = () => {
    if (room.status === 'no-quorum') {
      timer ??= setTimeout(() => {
        offer.hidden = false
      }, offeredAfter)
    } else {
      clearTimeout(timer)
      timer = undefined
      offer.hidden = true
      dialog.close()
    }
  }
  room.addEventListener('statuschange', ({ detail }) => {
    missing = detail.missing
    show()
  })
  show()
  offer.addEventListener('click', () => {
    const names = missing.map((peerId) => directory.name(peerId))
    setText(byId('recovery-missing', HTMLElement), names.length > 0 ? names.join(', ') : 'a majority')
    failure.hidden = true
    dialog.showModal()
  })
  byId('recovery-wait', HTMLButtonElement).addEventListener('click', () => dialog.close())
  confirm.addEventListener('click', () => {
    confirm.disabled = true
    room
      .recover({ acceptDataLoss: true })
      .then(() => dialog.close())
      .catch((error: unknown) => {
        failure.hidden = false
        setText(failure, `That did not work: ${messageOf(error)}.`)
        log.add(`Not recovered: ${messageOf(error)}`)
      })
      .finally(() => {
        confirm.disabled = false
      })
  })
}

function showReset({ cause, lost }: RoomReset): void {
  setText(
    byId('reset-text', HTMLElement),
    cause === 'forked'
      ? 'This room goes on without those who were missing. What you see is all that the peers here know to be agreed. Should the others come back with a room of their own, one of the two ends, and its people are told so.'
      : 'Two histories of this room have met, and the other one goes on. This is what yours had and the other one has not:',
  )
  const items = lost.store.map(({ key, value }) => {
    const number = parts.find((part) => part.key === key)?.number
    return el('li', {}, el('b', { text: number === undefined ? key : `Paragraph ${number}` }), ` ${textOf(value)}`)
  })
  for (const { key } of lost.deleted) {
    const number = parts.find((part) => part.key === key)?.number
    const what = number === undefined ? key : `Paragraph ${number}`
    items.push(el('li', { text: `${what} was deleted here, and may be there again.` }))
  }
  if (!lost.complete) items.push(el('li', { text: 'What was deleted here before may be there again.' }))
  const locks = lost.locks.map((name) => parts.find(({ lock }) => lock === name)?.number ?? name)
  if (locks.length > 0) items.push(el('li', { text: `You no longer edit paragraph ${locks.join(', ')}.` }))
  if (cause === 'merged' && items.length === 0) items.push(el('li', { text: 'Nothing.' }))
  byId('reset-lost', HTMLElement).replaceChildren(...items)
}

function textOf(value: unknown): string {
  const { text } = (typeof value === 'object' && value !== null ? value : {}) as { readonly text?: unknown }
  return typeof text === 'string' ? text : ''
}
