/** The few words of DOM that this page needs. Text is always set as text: what peers declare is never markup. */

export interface Properties {
  readonly class?: string
  readonly text?: string
  readonly testid?: string
  readonly title?: string
  readonly hidden?: boolean
}

type Tags = HTMLElementTagNameMap

export function el<K extends keyof Tags>(tag: K, properties: Properties = {}, ...children: (Node | string)[]): Tags[K] {
  const element = document.createElement(tag)
  const { class: className, text, testid, title, hidden } = properties
  if (className !== undefined) element.className = className
  if (text !== undefined) element.textContent = text
  if (testid !== undefined) element.dataset['testid'] = testid
  if (title !== undefined) element.title = title
  if (hidden !== undefined) element.hidden = hidden
  element.append(...children)
  return element
}

/** An element of `index.html`; that it is there is that file's promise. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const element = document.getElementById(id)
  if (!(element instanceof type)) throw new Error(`index.html has no ${type.name} with the id ${id}`)
  return element
}

/** Leaves an unchanged text alone, so that a selection in it stays. */
export function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

export function button(label: string, properties: Properties, onClick: () => void): HTMLButtonElement {
  const element = el('button', { text: label, ...properties })
  element.type = 'button'
  element.addEventListener('click', onClick)
  return element
}

/** `1st`, `2nd`, `3rd`, `4th`. */
export function ordinal(position: number): string {
  const tail = position % 100
  const suffix = tail >= 11 && tail <= 13 ? 'th' : (['th', 'st', 'nd', 'rd'][position % 10] ?? 'th')
  return `${position}${suffix}`
}

/** What an error says, to be put into a sentence: without a period of its own. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.replace(/\.$/, '')
}
