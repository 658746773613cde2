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
  #rate: number
  /** Device time at the last change of rate, and the true time of it. */
  #drifted = { device: 0, at: 0 }
  #slept = 0
  #asleepSince: number | null = null

  constructor(world: World, options: DeviceClockOptions) {
    this.#world = world
    this.#options = options
    this.#wallOffset = options.wallOffset
    this.#rate = options.rate
  }

  get rate(): number {
    return this.#rate
  }

  get countsSleep(): boolean {
    return this.#options.countsSleep
  }

  get now(): Instant {
    const { now } = this.#world
    const asleep = this.#slept + (this.#asleepSince === null ? 0 : now - this.#asleepSince)
    const { device, at } = this.#drifted
    return {
      monotonic: device + (now - at - (this.#options.countsSleep ? 0 : asleep)) * this.#rate,
      wall: Math.floor(epoch + device + (now - at) * this.#rate + this.#wallOffset),
    }
  }

  /** From now on it runs at that rate: its temperature has changed. Neither of its clocks jumps. */
  drift(rate: number): void {
    if (this.#asleepSince !== null) return
    const { now } = this.#world
    const { device, at } = this.#drifted
    const slept = this.#options.countsSleep ? 0 : this.#slept
    // Sleep that the monotonic clock has not counted stays on the wall clock.
    this.#wallOffset += slept * this.#rate
    this.#drifted = { device: device + (now - at - slept) * this.#rate, at: now }
    this.#slept = 0
    this.#rate = rate
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
