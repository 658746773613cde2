export type CounterCommand =
  | { readonly type: 'counter.add'; readonly name: string; readonly by: number }
  /** Sets `next` if the counter is `expected`; one step, since it is one entry. */
  | {
      readonly type: 'counter.compareAndSet'
      readonly name: string
      readonly expected: number
      readonly next: number
    }
