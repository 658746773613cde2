/** The card of one paragraph. It shows what it is given and reports what is pressed; it knows no room. */
import { button, el, ordinal, setText } from './dom.js'
import type { WriterState } from './latest-writer.js'
import { chip, type Person } from './person.js'

export interface Shown {
  readonly person: Person
  readonly you: boolean
}

export interface Notice {
  readonly text: string
  /** What the person typed and the room has not. */
  readonly unsaved?: string
}

export interface Card {
  /** 'away': this page is not in the room, so it does not know. */
  readonly mode: 'away' | 'free' | 'taken' | 'waiting' | 'opening' | 'held' | 'unsure' | 'closing'
  readonly text: string
  /** Who wrote it; null for the text that nobody has changed. */
  readonly by: Person | null
  readonly holder: Shown | null
  readonly token: number | null
  readonly queue: readonly Shown[]
  /** Own place in the queue from 1. */
  readonly place: number | null
  readonly saving: WriterState | 'stuck' | null
  /** The text is not known yet; what is shown has its place only. */
  readonly loading: boolean
  readonly notice: Notice | null
}

export interface CardActions {
  edit(): void
  cancel(): void
  done(): void
  input(text: string): void
  dismiss(): void
}

/** Well below the 64 KiB of a value of the store, whatever the script. */
const textMax = 8_000

export class CardView {
  readonly element: HTMLElement
  readonly #holder: HTMLElement
  readonly #token: HTMLElement
  readonly #state: HTMLElement
  readonly #edit: HTMLButtonElement
  readonly #cancel: HTMLButtonElement
  readonly #done: HTMLButtonElement
  readonly #text: HTMLElement
  readonly #input: HTMLTextAreaElement
  readonly #queue: HTMLElement
  readonly #foot: HTMLElement
  readonly #notice: HTMLElement
  #shownPeople = ''
  #shownNotice: Notice | null = null
  #mode: Card['mode'] = 'free'

  constructor(number: number, actions: CardActions) {
    this.#holder = el('span', { class: 'holder', testid: `holder-${number}` })
    this.#token = el('span', { class: 'token', testid: `token-${number}` })
    this.#state = el('span', { class: 'own-state' })
    this.#edit = button('Edit', { testid: `edit-${number}` }, actions.edit)
    this.#cancel = button('Cancel', { testid: `cancel-${number}` }, actions.cancel)
    this.#done = button('Done', { class: 'primary', testid: `done-${number}` }, actions.done)
    this.#text = el('p', { class: 'text', testid: `text-${number}` })
    this.#input = this.#createInput(number, actions)
    this.#done.title = 'Ctrl+Enter'
    this.#queue = el('span', { class: 'queue', testid: `queue-${number}` })
    this.#foot = el('span', { class: 'foot-note' })
    this.#notice = el('div', { class: 'notice', hidden: true })
    this.#notice.role = 'alert'
    for (const action of [this.#edit, this.#cancel, this.#done]) {
      action.setAttribute('aria-label', `${action.textContent} paragraph ${number}`)
    }
    const token = el('span', { class: 'token-box', title: 'Fencing token: every write under this lock carries it' })
    token.append('token ', this.#token)
    const actionsRow = el('span', { class: 'actions' }, this.#state, this.#edit, this.#cancel, this.#done)
    this.element = el(
      'li',
      { class: 'card', testid: `paragraph-${number}` },
      el(
        'div',
        { class: 'card-head' },
        el('span', { class: 'number', text: String(number) }),
        this.#holder,
        actionsRow,
      ),
      el('div', { class: 'card-body' }, this.#text, this.#input),
      this.#notice,
      el('div', { class: 'card-foot' }, this.#queue, this.#foot, token),
    )
    this.#notice.addEventListener('click', ({ target }) => {
      if (target instanceof HTMLElement && target.dataset['action'] === 'dismiss') actions.dismiss()
    })
  }

  /** The lock has come: the text under it, and the keyboard, unless the person is busy elsewhere. */
  startEditing(text: string): void {
    this.#input.value = text
    this.#input.hidden = false
    this.#text.hidden = true
    this.#grow()
    const { activeElement } = document
    if (activeElement === null || activeElement === document.body || this.element.contains(activeElement)) {
      this.#input.focus({ preventScroll: true })
    }
  }

  render(card: Card): void {
    const { mode } = card
    const isEditing = mode === 'held' || mode === 'unsure' || mode === 'closing'
    const hadFocus = this.element.contains(document.activeElement)
    this.element.dataset['mode'] = mode
    this.element.classList.toggle('mine', card.holder?.you ?? false)
    this.element.style.setProperty('--hue', String(card.holder?.person.hue ?? 0))
    this.element.classList.toggle('loading', card.loading)
    this.element.ariaBusy = String(card.loading)
    setText(this.#text, card.text)
    setText(this.#token, card.token === null ? '–' : String(card.token))
    setText(this.#state, stateText(card))
    setText(this.#foot, footText(card))
    setText(this.#edit, mode === 'taken' ? 'Wait to edit' : 'Edit')
    setText(this.#done, mode === 'closing' ? 'Saving…' : 'Done')
    this.#edit.hidden = mode !== 'free' && mode !== 'taken' && mode !== 'away'
    this.#edit.disabled = mode === 'away'
    this.#cancel.hidden = mode !== 'waiting'
    this.#done.hidden = !isEditing && mode !== 'opening'
    // Not disabled, which would take the keyboard away from it.
    this.#done.ariaDisabled = String(mode === 'closing' || mode === 'opening')
    this.#input.readOnly = mode === 'closing'
    this.#input.hidden = !isEditing
    this.#text.hidden = isEditing
    this.#renderPeople(card)
    this.#renderNotice(card)
    if (hadFocus && mode !== this.#mode) this.#keepFocus()
    this.#mode = mode
  }

  #createInput(number: number, actions: CardActions): HTMLTextAreaElement {
    const input = el('textarea', { class: 'text', testid: `input-${number}`, hidden: true })
    input.ariaLabel = `Text of paragraph ${number}`
    input.maxLength = textMax
    input.rows = 1
    input.addEventListener('input', () => {
      this.#grow()
      actions.input(input.value)
    })
    input.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) actions.done()
    })
    return input
  }

  /** As high as its text, so that the page does not move when a paragraph becomes a field. */
  #grow(): void {
    this.#input.style.height = 'auto'
    this.#input.style.height = `${this.#input.scrollHeight}px`
  }

  /** A button that disappears under the keyboard leaves it to the one that took its place. */
  #keepFocus(): void {
    if (this.element.contains(document.activeElement) && document.activeElement?.clientHeight) return
    const next = [this.#input, this.#done, this.#cancel, this.#edit].find((element) => !element.hidden)
    next?.focus({ preventScroll: true })
  }

  #renderPeople({ mode, holder, queue }: Card): void {
    const key = JSON.stringify([mode === 'away', holder, queue])
    if (key === this.#shownPeople) return
    this.#shownPeople = key
    if (holder) this.#holder.replaceChildren(chip(holder.person, holder.you))
    else this.#holder.replaceChildren(el('span', { class: 'nobody', text: mode === 'away' ? '–' : 'free' }))
    const names = queue.map(({ person, you }) => chip(person, you))
    this.#queue.replaceChildren(...(names.length > 0 ? [el('span', { class: 'then', text: 'next' }), ...names] : []))
  }

  #renderNotice({ notice }: Card): void {
    if (notice === this.#shownNotice) return
    this.#shownNotice = notice
    this.#notice.hidden = notice === null
    if (!notice) return
    const dismiss = button('Dismiss', { class: 'quiet' }, () => {})
    dismiss.dataset['action'] = 'dismiss'
    const row = el('div', { class: 'notice-actions' }, dismiss)
    this.#notice.replaceChildren(el('p', { text: notice.text }))
    const { unsaved } = notice
    if (unsaved !== undefined) {
      this.#notice.append(el('blockquote', { text: unsaved }))
      row.prepend(copyButton(unsaved))
    }
    this.#notice.append(row)
  }
}

function copyButton(text: string): HTMLButtonElement {
  const copy = button('Copy my text', {}, () => {
    navigator.clipboard.writeText(text).then(
      () => setText(copy, 'Copied'),
      () => setText(copy, 'Select it above and copy'),
    )
  })
  return copy
}

const savingWords = {
  saved: 'saved',
  saving: 'saving…',
  retrying: 'trying again…',
  stuck: 'waiting for a majority',
} as const

function stateText({ mode, place, saving }: Card): string {
  switch (mode) {
    case 'waiting':
      return place === null ? 'asking…' : `waiting, ${ordinal(place)} in line`
    case 'opening':
      return 'granted, opening…'
    case 'unsure':
      return 'unsure whether still held'
    case 'held':
      return `held, ${savingWords[saving ?? 'saved']}`
    default:
      return ''
  }
}

function footText({ queue, by, mode }: Card): string {
  if (queue.length > 0) return ''
  if (mode === 'unsure') return 'your text stays here; if the lock is gone, the room will refuse it'
  if (mode === 'away') return ''
  return by ? `last edited by ${by.name}` : 'not edited yet'
}
