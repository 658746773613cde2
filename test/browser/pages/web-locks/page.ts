/** A page that has joined a room and runs scenarios against its locks or against the browser's own. */
import * as comity from '../../../../src/index.js'
import { scenarios } from './index.js'
import { Bench, delay, type LocksUnderTest } from './scenario.js'
import { type Result, runSuite } from './suite.js'

let room: comity.Room | null = null
let runs = 0
const browserLocks = navigator.locks

const locksPage = {
  comity,
  get room(): comity.Room {
    if (!room) throw new Error('the page has not joined')
    return room
  },
  /** The error of a call, as plain data. */
  async failure(call: () => unknown): Promise<Record<string, unknown>> {
    try {
      return { resolved: await call() }
    } catch (error) {
      const { name, ...details } = error as Error
      return { name, ...details }
    }
  },
  async join(name: string): Promise<void> {
    room = await comity.join(name)
  },
  /** Code that says `navigator.locks`, with the room's in their place. */
  suite(which: 'browser' | 'room'): Promise<Result[]> {
    return runSuite(which === 'room' ? (locksPage.room.locks as unknown as LockManager) : browserLocks)
  },
  /** What was seen, or what had been seen when it hung. */
  async run(group: string, index: number, which: 'browser' | 'room'): Promise<unknown> {
    const scenario = scenarios[group]?.[index]
    if (!scenario) throw new Error('no such scenario')
    runs += 1
    const manager = which === 'room' ? locksPage.room.locks : navigator.locks
    const tools = new Bench(manager as unknown as LocksUnderTest, `scenario ${runs}`)
    const hung = delay(15_000).then(() => ({ hung: true, log: tools.log }))
    const seen = await Promise.race([scenario.run(tools), hung])
    await tools.clear()
    // As a message would carry it: no identity, no undefined.
    return JSON.parse(JSON.stringify(seen ?? null))
  },
}

declare global {
  interface Window {
    locksPage: typeof locksPage
  }
}

window.locksPage = locksPage
