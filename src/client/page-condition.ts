/** How this page is, as its host has to know it (M4, S-4): seen or not, of a phone or not, frozen or not. */
import type { PageCondition } from '../host/page.js'
import type { RoomConnection } from './connection.js'

/** What browsers say of their device. */
export interface DeviceSigns {
  /** `navigator.userAgentData.mobile`; undefined where there is none (Firefox, Safari). */
  readonly mobile: boolean | undefined
  /** `(pointer: coarse)`: the main pointer is a finger. */
  readonly coarse: boolean
  /** `(any-hover: hover)`: something else than a finger can point here, as with a laptop that has a touch screen. */
  readonly hover: boolean
}

/** Whether the browser may stop what it hides at any moment, as those of phones and tablets do. */
export function isPhone({ mobile, coarse, hover }: DeviceSigns): boolean {
  // Chromium says false on Android tablets, which stop hidden pages too: a finger tells.
  return mobile === true || (coarse && !hover)
}

/**
 * A frozen page's worker stops with it, at the latest when it next runs JavaScript (PLATFORM 13): what was posted to it by then has still to be done.
 * So the page, which nobody sees, keeps the browser waiting for so long, ms.
 */
const lastWordTakes = 100
/** Whoever votes alone has to share the vote before it can leave it (M4): a change of voters and a promise, each durable with both tabs, ms. */
const sharingTakes = 300

/**
 * Tells the connection how the page is, now and with every change, until the function that it gives is called. `votesAlone`: others are here,
 * and none of them votes.
 */
export function followCondition(connection: RoomConnection, votesAlone: () => boolean): () => void {
  const phone = isPhone(readSigns())
  const tell = (frozen: boolean) => {
    const condition: PageCondition = { visible: document.visibilityState === 'visible', phone, frozen }
    connection.become(condition)
  }
  const onVisibility = () => tell(false)
  const onFreeze = () => {
    tell(true)
    if (connection.status?.role === 'leader') keepBusy(votesAlone() ? sharingTakes : lastWordTakes)
  }
  const onResume = () => tell(false)
  document.addEventListener('visibilitychange', onVisibility)
  document.addEventListener('freeze', onFreeze)
  document.addEventListener('resume', onResume)
  tell(false)
  return () => {
    document.removeEventListener('visibilitychange', onVisibility)
    document.removeEventListener('freeze', onFreeze)
    document.removeEventListener('resume', onResume)
  }
}

function readSigns(): DeviceSigns {
  const { userAgentData } = navigator as Navigator & { readonly userAgentData?: { readonly mobile?: boolean } }
  return {
    mobile: userAgentData?.mobile,
    coarse: matchMedia('(pointer: coarse)').matches,
    hover: matchMedia('(any-hover: hover)').matches,
  }
}

/** A longer step, ms, is one in which this thread did not run; so the worker, for which it keeps the browser waiting, may not have either. */
const stepMax = 5

/** For so long of its own running time, ms. */
export function keepBusy(ms: number, now: () => number = () => performance.now()): void {
  let left = ms
  let last = now()
  while (left > 0) {
    const at = now()
    left -= Math.min(at - last, stepMax)
    last = at
  }
}
