/**
 * The report of an audit: it says what the audit found, is of a bounded size, gives what a log says no say in the page, and works in a real
 * browser, which it makes load nothing.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { CHECKS, Questions, type ReportData, readReport, renderReport } from '../../clients/auditor/index.ts'
import { startServer } from '../../log-server/index.ts'
import { sha256, toBase64, toHex, utf8 } from '../../merkle/index.ts'
import { makeLog } from '../../scripts/make-log/make.ts'
import { CHROMIUM, Page } from './chromium.ts'
import { TestCommand } from './test-io.ts'

const cli = new TestCommand()
let now: number
let page: string
let data: ReportData

before(async () => {
  const dataDir = cli.path('log')
  const made = await makeLog({ dataDir, entries: 400, seed: 'report', wrapEvery: 1, jobs: 0, faults: true })
  now = made.now
  cli.skew = now - Math.floor(Date.now() / 1000)
  const server = await startServer({ dataDir, listen: { host: '127.0.0.1', port: 0 }, now: () => now })
  const trust = join(dataDir, 'TRUST.json')
  const key = join(dataDir, 'auditor.jwk')
  const audit = ['audit', 'run', '--log', server.url, '--trust', trust, '--state', '@state', '--key', key]
  assert.equal((await cli.run(...audit)).exit, 1)
  await server.close()
  const { exit, out, err } = await cli.run('audit', 'report', '--state', '@state', '--out', '@report.html')
  assert.equal(exit, 0, err)
  assert.match(out, /entries of log\.example\/made, \d+ errors, \d+ warnings$/)
  page = await readFile(cli.path('report.html'), 'utf8')
  const questions = await Questions.open(cli.path('state'))
  data = await readReport(questions, now)
  questions.close()
})
after(() => cli.remove())

describe('audit report', () => {
  it('says up to which checkpoint, and what each finding means and asks for', () => {
    assert.ok(page.includes(toHex(data.checkpoint.root)))
    assert.match(page, /Refused: \d+ findings/)
    for (const check of Object.keys(CHECKS)) assert.ok(page.includes(`<h3>${check}</h3>`), check)
    assert.match(page, /What was not checked, and why/)
    assert.match(page, /the log has no bytes of them/)
    assert.match(page, /What is sealed in \d+ records/)
  })

  it('says that nothing is wrong only where nothing is, and that no key opened anything', () => {
    const clean = { ...data, findings: [], openedWith: null, opened: 0 }
    const text = renderReport(clean, now)
    assert.match(text, /Passed: no errors and no warnings/)
    assert.match(text, /the audit ran without a key/)
    assert.doesNotMatch(text, /Sections that are sealed for others/)
    assert.match(page, /Sections that are sealed for others/)
    assert.doesNotMatch(renderReport({ ...clean, growth: undefined }, now), /<svg/)
    const asked = data.findings.filter(({ severity }) => severity !== 'error')
    assert.match(renderReport({ ...data, findings: asked }, now), /Refused: \d+ findings that somebody/)
  })

  it('is the same for the same data and time, and for its owner alone', async () => {
    assert.equal(renderReport(data, now).length, page.length)
    assert.equal(renderReport(data, now), renderReport(structuredClone(data), now))
    assert.equal((await stat(cli.path('report.html'))).mode & 0o777, 0o600)
  })

  it('counts every record once in its charts, or says that it is elsewhere', () => {
    const { intervals, elsewhere } = data.growth!
    const all = intervals.reduce((sum, { records }) => sum + records, elsewhere)
    assert.equal(all, data.states.get('record'))
    assert.ok(intervals.length <= 48)
  })

  it('lets nothing run or load but what the hashes name', () => {
    const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)![1]!
    for (const name of ['style', 'script']) {
      const text = new RegExp(`<${name}>([^]*?)</${name}>`).exec(page)![1]!
      assert.ok(policy.includes(`${name}-src 'sha256-${toBase64(sha256(utf8(text)))}'`), name)
    }
    assert.match(policy, /^default-src 'none'; /)
    assert.doesNotMatch(page, /\ssrc=|\sstyle=|\son\w+=|url\(|@import|https?:/)
  })

  it('has no more rows for a log of a million findings, and the question that lists them', () => {
    const many = data.findings.map((group) => ({ ...group, count: 1_000_000 }))
    const text = renderReport({ ...data, findings: many, signerCount: 1_000_000 }, now)
    assert.ok(text.length < 1.2 * page.length)
    assert.match(text, /provlog audit query findings check=date-in-future --state DIR/)
    assert.match(text, /who signed most, of 1,000,000/)
  })

  it('is told by an audit that has not been made', async () => {
    const { exit, err } = await cli.run('audit', 'report', '--state', '@nothing', '--out', '@no.html')
    assert.equal(exit, 1)
    assert.match(err, /no_audit/)
  })
})

const HOSTILE = [
  '<script>window.owned = 1</script>',
  '"><img src=x onerror="window.owned = 1">',
  "'></bdi></td></table><iframe src=//attacker.example>",
  '</style></script><svg onload=alert(1)>',
  '\u202egnp.exe\u2066\u0000\u001b[2J\ud800',
  `spiffe://bank.example/${'a'.repeat(100_000)}`,
  '&lt;b&gt; {{x}} <!-- ]]>',
  '__proto__',
]

/** `data` where everything that a log writes is hostile. */
function hostile(): ReportData {
  const signers = HOSTILE.map((issuer) => ({ ...data.signers[0]!, issuer }))
  const first = HOSTILE.map((detail, index) => ({ index, entry: '00'.repeat(32), detail }))
  return {
    ...data,
    checkpoint: { ...data.checkpoint, origin: HOSTILE[0]! },
    signatures: HOSTILE.map((name) => ({ name, keyId: '00000000', time: 2 ** 53 - 1 })),
    signers,
    findings: data.findings.map((group) => ({ ...group, first })),
  }
}

describe('what a log says, in a report', () => {
  it('stays text, keeps its direction, and is cut', () => {
    const text = renderReport(hostile(), now)
    assert.equal(text.match(/<script/g)!.length, 1)
    assert.doesNotMatch(text, /<img|<iframe|onload=alert\(1\)>|\p{Cf}|\p{Cs}/u)
    assert.ok(!text.includes('\u0000') && !text.includes('\u001b'))
    assert.match(text, /\\u\{202e\}gnp\.exe\\u\{2066\}\\u0000\\u001b/)
    assert.match(text, /a{200,300}…/)
    assert.doesNotMatch(text, /a{301}/)
    assert.match(text, /&amp;lt;b&amp;gt;/)
  })
})

const withBrowser = {
  skip: CHROMIUM === undefined ? 'SKIPPED: no Chromium on this machine: apt-get install chromium' : false,
}

describe('a report in a real browser', withBrowser, () => {
  const opened = async (name: string, text: string) => {
    await writeFile(cli.path(name), text)
    const url = pathToFileURL(cli.path(name)).href
    return { url, page: await Page.open(url) }
  }

  it('loads nothing but itself, complains of nothing, and sorts by number and by text', async () => {
    const { url, page: shown } = await opened('shown.html', page)
    try {
      const column = (head: string) => `(() => {
        const table = document.querySelector('#signers').parentElement.querySelector('table')
        const button = [...table.querySelectorAll('th button')].find((each) => each.textContent === '${head}')
        const at = button.parentElement.cellIndex
        const sorted = () => [...table.tBodies[0].rows].map((row) => row.cells[at].textContent.replaceAll(',', ''))
        button.click(); const up = sorted(); button.click()
        return [up, sorted(), button.parentElement.ariaSort] })()`
      const [up, down, sort] = (await shown.evaluate(column('Records'))) as [string[], string[], string]
      const numbers = up.map(Number)
      assert.deepEqual(
        numbers,
        numbers.toSorted((a, b) => a - b),
      )
      assert.deepEqual(
        down.map(Number),
        numbers.toSorted((a, b) => b - a),
      )
      assert.equal(sort, 'descending')
      const [names] = (await shown.evaluate(column('Who'))) as [string[]]
      assert.deepEqual(names, names.toSorted())
      assert.ok(names.length > 3)

      const background = await shown.evaluate('getComputedStyle(document.querySelector(".card")).borderRadius')
      assert.equal(background, '10px', 'the style sheet is in force')
      assert.equal(await shown.evaluate('document.querySelectorAll("svg[role=img][aria-label]").length'), 2)
      assert.deepEqual(shown.complaints, [])
      assert.deepEqual(shown.requests, [url])
    } finally {
      await shown.close()
    }
  })

  it('runs and loads nothing that a log says', async () => {
    const { url, page: shown } = await opened('hostile.html', renderReport(hostile(), now))
    try {
      assert.equal(await shown.evaluate('typeof window.owned'), 'undefined')
      assert.equal(await shown.evaluate('document.querySelectorAll("script, iframe, img").length'), 1)
      assert.ok(((await shown.evaluate('document.title')) as string).includes('<script>window.owned = 1</script>'))
      assert.deepEqual([shown.requests, shown.complaints], [[url], []])
    } finally {
      await shown.close()
    }
  })

  it('would refuse to run or load it where the escaping had failed', async () => {
    const broken = page.replace('</main>', `${HOSTILE[0]}<img src="https://attacker.example/x"></main>`)
    const { page: shown } = await opened('broken.html', broken)
    try {
      assert.equal(await shown.evaluate('typeof window.owned'), 'undefined')
      assert.equal(shown.complaints.filter((text) => text.includes('Content Security Policy')).length, 2)
    } finally {
      await shown.close()
    }
  })
})
