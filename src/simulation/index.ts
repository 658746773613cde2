/** Rooms that run in virtual time, for the tests of whoever builds on this library (later: `comity/testing`). */
export { allFaults, Faults, type FaultWeights } from './faults.js'
export { fairWeather, type Weather } from './network.js'
export type { SimPage } from './page.js'
export { type RunOptions, type RunResult, runSeed } from './run.js'
export { Simulation, type SimulationOptions, type Surgery } from './simulation.js'
export type { SimTab } from './tab.js'
export { Trace } from './trace.js'
export { Violation } from './world.js'
