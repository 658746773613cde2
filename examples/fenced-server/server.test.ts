import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { StaleFenceError } from '../../src/index.js'
import { putFenced } from './client.js'
import { createFencedServer, type FencedServer } from './server.js'

let folder: string
let file: string
let server: FencedServer

const start = async () => {
  server = await createFencedServer({ file, origins: ['https://app.example'] })
}
const read = async (name: string) => {
  const response = await fetch(`${server.url}/documents/${encodeURIComponent(name)}`)
  return response.ok ? response.text() : response.status
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'comity-fenced-'))
  file = join(folder, 'documents.json')
  await start()
})

afterEach(async () => {
  await server.close()
  await rm(folder, { recursive: true })
})

describe('the fenced server', () => {
  it('[T2] takes the newest token, refuses an older one with 412, and keeps what was written', async () => {
    await putFenced(server.url, { name: 'note 7/ü', token: 5 }, 'first')
    await putFenced(server.url, { name: 'note 7/ü', token: 9 }, 'second')
    const stale = putFenced(server.url, { name: 'note 7/ü', token: 8 }, 'zombie')
    await expect(stale).rejects.toThrow(expect.objectContaining({ code: 'stale-fence', current: 9 }))
    await expect(stale).rejects.toBeInstanceOf(StaleFenceError)
    expect(await read('note 7/ü')).toBe('second')
    await putFenced(server.url, { name: 'note 7/ü', token: 9 }, 'again')
    expect(await read('note 7/ü')).toBe('again')
  })

  it('keeps the tokens of each document apart', async () => {
    await putFenced(server.url, { name: 'a', token: 9 }, 'a')
    await putFenced(server.url, { name: 'b', token: 3 }, 'b')
    expect([await read('a'), await read('b'), await read('c')]).toEqual(['a', 'b', 404])
  })

  it('[T2] remembers after a restart what it has let in, and leaves no other file', async () => {
    await putFenced(server.url, { name: 'a', token: 9 }, 'newest')
    await server.close()
    expect(await readdir(folder)).toEqual(['documents.json'])
    await start()
    expect(await read('a')).toBe('newest')
    await expect(putFenced(server.url, { name: 'a', token: 8 }, 'zombie')).rejects.toThrow(StaleFenceError)
  })

  it('of many writers at once none is lost, and the newest stays', async () => {
    const tokens = Array.from({ length: 20 }, (_, i) => i + 1)
    const writes = tokens.map((token) => putFenced(server.url, { name: 'a', token }, `by ${token}`))
    const others = tokens.map((token) => putFenced(server.url, { name: `other ${token}`, token }, 'there'))
    await Promise.allSettled(writes)
    await Promise.all(others)
    expect(await read('a')).toBe('by 20')
    await server.close()
    await start()
    expect(await read('a')).toBe('by 20')
    for (const token of tokens) expect(await read(`other ${token}`)).toBe('there')
  })

  it('a write that the disk refuses has not happened, and its token is not remembered', async () => {
    await putFenced(server.url, { name: 'a', token: 1 }, 'written')
    const saved = await readFile(file, 'utf8')
    await rm(file)
    await mkdir(file)
    await expect(putFenced(server.url, { name: 'a', token: 9 }, 'lost')).rejects.toThrow('500')
    expect(await readdir(folder)).toEqual(['documents.json'])
    expect(await read('a')).toBe('written')
    await rm(file, { recursive: true })
    await writeFile(file, saved)
    await putFenced(server.url, { name: 'a', token: 2 }, 'next')
    expect(await read('a')).toBe('next')
  })

  it('does not start without the tokens that it had', async () => {
    await server.close()
    await writeFile(file, 'not JSON')
    await expect(start()).rejects.toThrow(SyntaxError)
  })

  it.each<[string, number, string, RequestInit]>([
    ['no token', 428, '/documents/a', { method: 'PUT', body: 'x' }],
    ['a token that is none', 400, '/documents/a', { method: 'PUT', headers: { 'Fence-Token': '1e3' } }],
    ['a negative token', 400, '/documents/a', { method: 'PUT', headers: { 'Fence-Token': '-1' } }],
    ['zero', 400, '/documents/a', { method: 'PUT', headers: { 'Fence-Token': '0' } }],
    [
      'a token that is too large',
      400,
      '/documents/a',
      { method: 'PUT', headers: { 'Fence-Token': '9007199254740992' } },
    ],
    ['a broken name', 400, '/documents/%ff', { method: 'PUT', headers: { 'Fence-Token': '1' } }],
    ['another path', 404, '/other', {}],
    ['another method', 405, '/documents/a', { method: 'DELETE' }],
  ])('bad input: %s is answered with %i', async (_what, status, path, init) => {
    const response = await fetch(server.url + path, init)
    expect(response.status).toBe(status)
  })

  it('lets pages of the origins that it was given write, and no others', async () => {
    const ask = async (origin: string) => {
      const response = await fetch(`${server.url}/documents/a`, { method: 'OPTIONS', headers: { origin } })
      return response.headers.get('access-control-allow-origin')
    }
    expect([await ask('https://app.example'), await ask('https://evil.example')]).toEqual(['https://app.example', null])
  })
})
