import type { Instant } from '../shared/instant.js'
import type { World } from './world.js'

/** What the founders of the platform call now: 2026, in ms since 1970. */
const epoch = 1_780_000_000_000

export interface DeviceClockOptions {
  /** Device ms per true ms: within 1 % of 1 (C2). */
  readonly rate: number
  /** How far its wall clock is off at the beginning, ms. */
  readonly wallOffset: number
  /** Whether `performance.now` counts the time that the device sleeps: platforms differ. */
  readonly countsSleep: boolean
}

/** The clocks of one device: one oscillator, a wall clock that somebody sets. */
export class DeviceClock {
  readonly #world: World
  readonly #options: DeviceClockOptions
  #wallOffset: number
  #slept = 0
  #asleepSince: number | null = null

  constructor(world: World, options: DeviceClockOptions) {
    this.#world = world
    this.#options = options
    this.#wallOffset = options.wallOffset
  }

  get rate(): number {
    return this.#options.rate
  }

  get countsSleep(): boolean {
    return this.#options.countsSleep
  }

  get now(): Instant {
    const { rate, countsSleep } = this.#options
    const { now } = this.#world
    const asleep = this.#slept + (this.#asleepSince === null ? 0 : now - this.#asleepSince)
    return {
      monotonic: (now - (countsSleep ? 0 : asleep)) * rate,
      wall: Math.floor(epoch + now * rate + this.#wallOffset),
    }
  }

  /** Somebody, or NTP, sets the wall clock. */
  stepWall(ms: number): void {
    this.#wallOffset += ms
  }

  fallAsleep(): void {
    this.#asleepSince ??= this.#world.now
  }

  wakeUp(): void {
    if (this.#asleepSince !== null) this.#slept += this.#world.now - this.#asleepSince
    this.#asleepSince = null
  }
}
