import { describe, expect, it } from 'vitest'
import { parseOptions, UsageError } from '../scripts/command-line.js'

const options = { seeds: { type: 'string', default: '5' }, trace: { type: 'boolean', default: false } } as const
const parse = (...args: string[]) => parseOptions(args, options, ['seeds'])

describe('a command line', () => {
  it('is read, with what was not given', () => {
    expect(parse('--seeds', '12', '--trace')).toEqual({ seeds: '12', trace: true })
    expect(parse()).toEqual({ seeds: '5', trace: false })
  })

  it.each(['--help', '-h'])('asks for the usage with %s', (help) => {
    expect(parse('--seeds', '1', help)).toBeNull()
  })

  it.each([
    [['--seed', '1'], "Unknown option '--seed'"],
    [['--seeds'], "Option '--seeds <value>' argument missing"],
    [['some'], "Unexpected argument 'some'"],
    [['--seeds', 'many'], '--seeds is a whole number from 1, not "many"'],
    [['--seeds', '0'], '--seeds is a whole number from 1, not "0"'],
    [['--seeds', '1.5'], '--seeds is a whole number from 1, not "1.5"'],
  ])('that is %j is refused by name', (args, message) => {
    expect(() => parse(...args)).toThrow(UsageError)
    expect(() => parse(...args)).toThrow(message)
  })
})
