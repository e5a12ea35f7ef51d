import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type MeasuredFile, measureFiles, measurementRoot, measurementsOf } from '../../clients/verifier/index.ts'
import { concatBytes, fromHex, sha256, toHex, utf8 } from '../../merkle/index.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'provlog-measure-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

function write(path: string, content: string): void {
  mkdirSync(dirname(join(directory, path)), { recursive: true })
  writeFileSync(join(directory, path), content)
}

const refused = (code: string) => ({ name: 'EvidenceError', code })

describe('measureFiles', () => {
  it('finds every file, in the order of the UTF-8 bytes of its path', async () => {
    for (const path of ['b', 'a/z', 'a-b', 'ä', '\u{10000}', '\uff61', 'a/nested/deep']) write(path, path)
    const { files } = await measureFiles(directory)
    // UTF-16 order, which JavaScript sorts by, would have the last two the other way round.
    assert.deepEqual(
      files.map(({ path }) => path),
      ['a-b', 'a/nested/deep', 'a/z', 'b', 'ä', '\uff61', '\u{10000}'],
    )
    assert.deepEqual(files[3], { path: 'b', size: 1, sha256: toHex(sha256(utf8('b'))) })
  })

  it('gives one root to equal directories, whenever and wherever they were written', async () => {
    write('bin/run', 'x')
    write('etc/conf', 'y')
    const { root } = await measureFiles(directory)
    rmSync(join(directory, 'bin'), { recursive: true })
    write('bin/run', 'x')
    mkdirSync(join(directory, 'empty'))
    chmodSync(join(directory, 'etc/conf'), 0o600)
    assert.equal((await measureFiles(directory)).root, root)
  })

  const changes: [what: string, change: () => void][] = [
    ['a changed byte', () => write('bin/run', 'X')],
    ['a renamed file', () => execFileSync('mv', [join(directory, 'bin/run'), join(directory, 'bin/ran')])],
    ['a file more', () => write('bin/rum', '')],
    ['a file less', () => rmSync(join(directory, 'etc/conf'))],
  ]
  for (const [what, change] of changes) {
    it(`gives another root to ${what}`, async () => {
      write('bin/run', 'x')
      write('etc/conf', 'y')
      const { root } = await measureFiles(directory)
      change()
      assert.notEqual((await measureFiles(directory)).root, root)
    })
  }

  it('reads files that are larger than a buffer', async () => {
    const content = 'provlog '.repeat(50_000)
    write('large', content)
    const { files } = await measureFiles(directory)
    assert.deepEqual(files, [{ path: 'large', size: 400_000, sha256: toHex(sha256(utf8(content))) }])
  })

  it('measures a link to a file of the directory as that file', async () => {
    write('lib/v1.js', 'code')
    symlinkSync('v1.js', join(directory, 'lib/current.js'))
    const { files } = await measureFiles(directory)
    assert.equal(files.length, 2)
    assert.equal(files[0]!.sha256, files[1]!.sha256)
  })

  it('refuses a link out of the directory (link_leaves_directory)', async () => {
    symlinkSync('/etc/hostname', join(directory, 'name'))
    await assert.rejects(measureFiles(directory), refused('link_leaves_directory'))
  })

  it('refuses a link to a sibling whose name begins like the directory (link_leaves_directory)', async () => {
    const sibling = `${directory}-2`
    mkdirSync(sibling)
    try {
      writeFileSync(join(sibling, 'file'), '')
      symlinkSync(join(sibling, 'file'), join(directory, 'file'))
      await assert.rejects(measureFiles(directory), refused('link_leaves_directory'))
    } finally {
      rmSync(sibling, { recursive: true })
    }
  })

  const unmeasurable: [what: string, make: () => void][] = [
    ['a link to nothing', () => symlinkSync('nowhere', join(directory, 'file'))],
    [
      'a link to a directory',
      () => {
        mkdirSync(join(directory, 'v1'))
        symlinkSync('v1', join(directory, 'current'))
      },
    ],
    ['a named pipe', () => execFileSync('mkfifo', [join(directory, 'pipe')])],
    [
      'a name that is not UTF-8',
      () => writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.of(0xff)]), ''),
    ],
  ]
  for (const [what, make] of unmeasurable) {
    it(`refuses ${what} (unmeasurable_file)`, async () => {
      make()
      await assert.rejects(measureFiles(directory), refused('unmeasurable_file'))
    })
  }

  it('refuses an empty directory (nothing_to_measure)', async () => {
    mkdirSync(join(directory, 'empty'))
    await assert.rejects(measureFiles(directory), refused('nothing_to_measure'))
  })

  const limits: [what: string, limits: Parameters<typeof measureFiles>[1]][] = [
    ['more files', { maxFiles: 1 }],
    ['more bytes', { maxBytes: 3 }],
    ['deeper directories', { maxDepth: 1 }],
  ]
  for (const [what, limit] of limits) {
    it(`refuses ${what} than it was told to take (too_many_files)`, async () => {
      write('a/b/one', '12')
      write('two', '34')
      await measureFiles(directory, { maxFiles: 2, maxBytes: 4, maxDepth: 2 })
      await assert.rejects(measureFiles(directory, limit), refused('too_many_files'))
    })
  }
})

describe('measurementRoot', () => {
  // The definition, written out: leaves and nodes of RFC 9162 §2.1.1 over CBOR arrays of path, size and digest.
  it('is the tree of the documented entries', () => {
    const file = (path: string, size: number): MeasuredFile => ({ path, size, sha256: toHex(sha256(utf8(path))) })
    const [a, b, c] = [file('a', 1), file('b', 24), file('c', 256)]
    const entry = (name: string, size: string) =>
      concatBytes(fromHex(`8361${toHex(utf8(name))}${size}5820`), sha256(utf8(name)))
    const leaf = (bytes: Uint8Array) => sha256(concatBytes(Uint8Array.of(0), bytes))
    const node = (left: Uint8Array, right: Uint8Array) => sha256(concatBytes(Uint8Array.of(1), left, right))
    const expected = node(node(leaf(entry('a', '01')), leaf(entry('b', '1818'))), leaf(entry('c', '190100')))
    assert.deepEqual(measurementRoot([a!, b!, c!]), expected)
  })

  const digest = '00'.repeat(32)
  const bad: [what: string, ...paths: string[]][] = [
    ['an absolute path', '/a'],
    ['a path that climbs', 'a/../b'],
    ['a path with an empty segment', 'a//b'],
    ['a path to here', './a'],
    ['a directory', 'a/'],
    ['a control character', 'a\nb'],
    ['a replaced character', 'a\ufffd'],
    ['one path twice', 'a', 'a'],
    ['paths out of order', 'b', 'a'],
    ['no files'],
  ]
  for (const [what, ...paths] of bad) {
    it(`refuses ${what} (malformed_evidence)`, () => {
      const files = paths.map((path) => ({ path, size: 0, sha256: digest }))
      assert.throws(() => measurementRoot(files), refused('malformed_evidence'))
    })
  }

  it('is put in order by measurementsOf', () => {
    const files = ['b', 'a'].map((path) => ({ path, size: 0, sha256: digest }))
    assert.deepEqual(
      measurementsOf(files).files.map(({ path }) => path),
      ['a', 'b'],
    )
  })
})
