import { describe, expect, it } from 'vitest'
import { parseSignalingUrls, urlsMax } from './urls.js'

describe('parseSignalingUrls', () => {
  it('takes one URL, several, or none', () => {
    expect(parseSignalingUrls(undefined)).toEqual([])
    expect(parseSignalingUrls([])).toEqual([])
    expect(parseSignalingUrls('ws://localhost:4444')).toEqual(['ws://localhost:4444/'])
    expect(parseSignalingUrls(['wss://a.example/signal?x=1#secret', 'wss://A.example/signal?x=1', 'ws://b'])).toEqual([
      'wss://a.example/signal?x=1',
      'ws://b/',
    ])
  })

  it.each(['', 'localhost:4444', 'http://localhost', '/signal', 'ws://', 'ws://a:99999', ['ws://a', '']])(
    'refuses %j',
    (url) => {
      expect(() => parseSignalingUrls(url)).toThrow(TypeError)
    },
  )

  it('refuses what is no string, and too many', () => {
    for (const input of [null, 5, {}, [5], [null]]) {
      expect(() => parseSignalingUrls(input as unknown as string)).toThrow(TypeError)
    }
    const many = Array.from({ length: urlsMax + 1 }, (_, index) => `ws://host-${index}`)
    expect(() => parseSignalingUrls(many)).toThrow(RangeError)
  })
})
