/**
 * A log that is caught, on a real port: what the command exits with, which file it leaves, and what `verify-evidence` says of it to somebody
 * who has the trust file and nothing else.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { describe, it, type TestContext } from 'node:test'
import { progressOn } from '../../clients/cli/progress.ts'
import type { FetchAnswer } from '../../clients/log-client/index.ts'
import { encodeEntryBundle, parseTileIndex, TILE_WIDTH, utf8 } from '../../merkle/index.ts'
import { line } from '../../scripts/line.ts'
import { ORIGIN } from '../provenance/small-log.ts'
import { MadeUpLog, TRUST } from './made-up-log.ts'
import { listen, ORIGIN as SERVED_ORIGIN, serveLies, serveLog } from './served-log.ts'
import { TestCommand } from './test-io.ts'

/** A log whose tree a caller decides on, with a statement for each entry. */
function logOf(size: number, differsAt = Number.POSITIVE_INFINITY): MadeUpLog {
  const log = new MadeUpLog()
  for (let i = 0; i < size; i++) log.put(utf8(i < differsAt ? `entry ${i}` : `another entry ${i}`))
  return log
}

/** What a C2SP client asks for, from `log` as it is at each moment. */
async function serve(t: TestContext, answering: () => MadeUpLog): Promise<string> {
  const server = createServer((request, response) => {
    void answer(answering(), (request.url ?? '').slice(1)).then((body) =>
      response.writeHead(body ? 200 : 404).end(body),
    )
  })
  return listen(t, server)
}

async function answer(log: MadeUpLog, path: string): Promise<string | Uint8Array | undefined> {
  if (path === 'checkpoint') return log.note
  const [, level, index] = /^tile\/(\d+|entries)\/(.+)$/.exec(path) ?? []
  if (level === undefined || index === undefined) return undefined
  const tile = { level: level === 'entries' ? 0 : Number(level), ...parseTileIndex(index) }
  if (level !== 'entries') return (await log.tiles.readTiles([tile]))[0]
  return encodeEntryBundle(log.entries.slice(tile.index * TILE_WIDTH, tile.index * TILE_WIDTH + tile.width))
}

async function command(t: TestContext, logs: readonly object[]): Promise<TestCommand> {
  const command = new TestCommand()
  t.after(() => command.remove())
  const trust = { logs, trustDomains: {}, issuers: [], verifiers: [], minimumTier: 'affirming' }
  await writeFile(command.path('trust.json'), JSON.stringify(trust))
  return command
}

const STATEMENTS = /^v1\/statements\/000.p\/[2-9]/
const MADE_UP = [{ origin: ORIGIN, vkey: TRUST.logs[0]!.vkey }]

/** Runs `audit run`, twice where it is to see what changed, and checks the file that it leaves. */
async function caught(command: TestCommand, url: string): Promise<Record<string, unknown> & { evidence: string }> {
  const { exit, out } = await command.run(...line`audit run --log ${url} --trust @trust.json --state @audit --json`)
  assert.equal(exit, 5, out)
  return JSON.parse(out)
}

async function verdictOn(command: TestCommand, path: string, trust = '@trust.json') {
  const { exit, out } = await command.run('verify-evidence', path, '--trust', trust, '--json')
  return { exit, ...JSON.parse(out) }
}

describe('evidence that a log forked', () => {
  for (const [before, after, what] of [
    [5, 5, 'two roots for one size'],
    [5, 9, 'another beginning'],
    [8, 9, 'another beginning, where the older tree is one subtree of the newer'],
    [300, 700, 'another beginning, over several tiles'],
  ] as const) {
    it(`proves it by signatures: ${what}`, async (t) => {
      const [honest, other] = [logOf(before), logOf(after, 3)]
      let shown = honest
      const url = await serve(t, () => shown)
      const run = await command(t, MADE_UP)
      // It cannot be audited, and its checkpoint is remembered all the same.
      await run.run('audit', 'run', '--log', url, '--trust', '@trust.json', '--state', '@audit')
      shown = other
      const { code, evidence } = await caught(run, url)
      assert.equal(code, 'checkpoint_fork')
      const found = await verdictOn(run, evidence)
      assert.deepEqual([found.exit, found.verdict, found.reported], [0, 'proven', []])

      const text = JSON.parse(await readFile(evidence, 'utf8'))
      const changes: [what: string, change: object, code: RegExp][] = [
        ['of another log', { origin: 'other.example' }, /untrusted_log/],
        ['without the checkpoint', { after: undefined }, /malformed_evidence/],
        ['with twice the same checkpoint', { before: text.after }, /no_contradiction|malformed_evidence/],
        [
          'with a note that nobody signed',
          { after: text.after.replace(/.{12}\n$/, 'AAAAAAAAAAA=\n') },
          /bad_signature|malformed_note/,
        ],
        ...(before === after
          ? []
          : ([['with a proof of nothing', { proof: '' }, /proof_wrong_length/]] as [string, object, RegExp][])),
      ]
      for (const [what, change, expected] of changes) {
        await writeFile(run.path('changed.json'), JSON.stringify({ ...text, ...change }))
        const changed = await verdictOn(run, '@changed.json')
        assert.equal(changed.exit, 1, what)
        assert.match(changed.code, expected, what)
      }
    })
  }

  it('is a report where the tiles lead nowhere', async (t) => {
    const [honest, other] = [logOf(5), logOf(9, 3)]
    const unrelated = logOf(9, 0)
    let shown = honest
    const server = createServer((request, response) => {
      const path = (request.url ?? '').slice(1)
      const log = path === 'checkpoint' ? shown : unrelated
      void answer(log, path).then((body) => response.writeHead(body ? 200 : 404).end(body))
    })
    const url = await listen(t, server)
    const run = await command(t, MADE_UP)
    await run.run('audit', 'run', '--log', url, '--trust', '@trust.json', '--state', '@audit')
    shown = other
    const found = await verdictOn(run, (await caught(run, url)).evidence)
    assert.deepEqual([found.exit, found.verdict, found.code], [1, 'reported', 'checkpoint_fork'])
  })
})

describe('a log that forks before a replay', () => {
  for (const kind of [[], ['--hashes']]) {
    it(`is caught: audit replay ${kind.join('')}`, async (t) => {
      let shown = logOf(5)
      const url = await serve(t, () => shown)
      const run = await command(t, MADE_UP)
      const replay = [
        'audit',
        'replay',
        '--log',
        url,
        '--trust',
        '@trust.json',
        '--state',
        '@replay',
        '--json',
        ...kind,
      ]
      const before = await run.run(...replay)
      // Its statements are not served, which is as bad.
      assert.equal(before.exit, kind.length > 0 ? 0 : 5, before.err)
      shown = logOf(9, 3)
      const { exit, out } = await run.run(...replay)
      const { code, evidence } = JSON.parse(out)
      assert.deepEqual([exit, code], [5, 'checkpoint_fork'])
      assert.deepEqual((await verdictOn(run, evidence)).verdict, 'proven')
    })
  }
})

describe('evidence that a log went back', () => {
  it('is a report: nobody signed in which order the two were shown', async (t) => {
    const [large, small] = [logOf(9), logOf(5)]
    let shown = large
    const url = await serve(t, () => shown)
    const run = await command(t, MADE_UP)
    await run.run('audit', 'run', '--log', url, '--trust', '@trust.json', '--state', '@audit')
    shown = small
    const { code, evidence } = await caught(run, url)
    const found = await verdictOn(run, evidence)
    assert.deepEqual([code, found.exit, found.verdict, found.holds.length], ['checkpoint_rollback', 1, 'reported', 2])
  })
})

describe('a log that shows something else than it signed', () => {
  const lies: [what: string, code: string, pattern: RegExp, lie: (honest: FetchAnswer) => Partial<FetchAnswer>][] = [
    ['a wrong entry', 'entry_mismatch', /^tile\/entries\//, ({ body }) => ({ body: body.with(40, body[40]! ^ 1) })],
    ['a truncated bundle of entries', 'entry_mismatch', /^tile\/entries\//, ({ body }) => ({ body: body.subarray(1) })],
    [
      'a wrong statement for a digest',
      'entry_mismatch',
      STATEMENTS,
      ({ body }) => ({ body: body.with(60, body[60]! ^ 1) }),
    ],
    ['a truncated bundle of statements', 'not_served', STATEMENTS, ({ body }) => ({ body: body.subarray(0, -1) })],
    ['no statements', 'not_served', STATEMENTS, () => ({ status: 404 })],
  ]
  for (const [what, code, pattern, lie] of lies) {
    it(`leaves a report of ${what}, with the checkpoint that it is held to`, async (t) => {
      const log = await serveLog(t)
      await log.authorize('issuer')
      const url = await serveLies(t, log.url, (path, honest) => (pattern.test(path) ? lie(honest) : undefined))
      const run = await command(t, [{ origin: SERVED_ORIGIN, vkey: log.vkey }])
      const told = await caught(run, url)
      assert.equal(told['code'], code)
      const found = await verdictOn(run, told.evidence)
      assert.deepEqual([found.exit, found.verdict, found.holds.length, found.reason], [1, 'reported', 1, 'not_proven'])
    })
  }

  it('is refused, and not caught, where another key signed the checkpoint', async (t) => {
    const log = await serveLog(t)
    const other = await serveLog(t)
    const run = await command(t, [{ origin: SERVED_ORIGIN, vkey: log.vkey }])
    const { exit, out } = await run.run(
      'audit',
      'run',
      '--log',
      other.url,
      '--trust',
      '@trust.json',
      '--state',
      '@a',
      '--json',
    )
    assert.equal(exit, 1)
    assert.equal(JSON.parse(out).code, 'unknown_signer')
  })
})

describe('a file that is no evidence', () => {
  for (const [what, bytes] of [
    ['empty', ''],
    ['no JSON', '{"code":'],
    ['a list', '[]'],
    ['of a code that is none', '{"code":"__proto__","origin":"log.example"}'],
    ['with a number for a note', `{"code":"checkpoint_fork","origin":"${ORIGIN}","after":5}`],
    ['huge', `{"code":"${'a'.repeat(8 << 20)}"}`],
  ] as const) {
    it(`is refused when it is ${what}`, async (t) => {
      const run = await command(t, MADE_UP)
      await writeFile(run.path('evidence.json'), bytes)
      const found = await verdictOn(run, '@evidence.json')
      assert.deepEqual([found.exit, found.code], [1, 'malformed_evidence'])
    })
  }
})

describe('progress', () => {
  const run = (terminal: boolean) => {
    const shown: string[] = []
    let now = 0
    const show = (line: string) => void shown.push(line)
    const tell = progressOn({ terminal, err: show, progress: show }, () => now)
    tell({ phase: 'statements', done: 400_000, total: 1_000_000 })
    for (let second = 1; second <= 20; second++) {
      now = second * 1000
      tell({ phase: 'statements', done: 400_000 + second * 5000, total: 1_000_000 })
    }
    return shown
  }

  it('is a bar on a terminal', () => {
    const bars = run(true)
    assert.equal(bars.at(-1), 'statements [##########..........] 50%  5000/s  100 s left')
    assert.equal(bars.length, 20)
  })

  it('is a line from time to time elsewhere', () => {
    assert.deepEqual(run(false), [
      'statements: 450000 of 1000000 (45%), 5000/s, 110 s left',
      'statements: 500000 of 1000000 (50%), 5000/s, 100 s left',
    ])
  })
})
