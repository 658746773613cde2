import { describe, expect, it } from 'vitest'
import { parseOptions, UsageError } from '../scripts/command-line.js'

const options = { seeds: { type: 'string', default: '5' }, trace: { type: 'boolean', default: false } } as const
const parse = (...args: string[]) => parseOptions(args, { options, numbers: ['seeds'] })

describe('a command line', () => {
  it('is read, with what was not given', () => {
    expect(parse('--seeds', '12', '--trace')?.values).toEqual({ seeds: '12', trace: true })
    expect(parse()?.values).toEqual({ seeds: '5', trace: false })
  })

  it.each(['--help', '-h'])('asks for the usage with %s', (help) => {
    expect(parse('--seeds', '1', help)).toBeNull()
  })

  it('may name parts, where there are some', () => {
    expect(parseOptions(['one'], { options, names: ['one', 'two'] })?.names).toEqual(['one'])
    expect(() => parseOptions(['three'], { options, names: ['one', 'two'] })).toThrow('there is no "three"')
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
