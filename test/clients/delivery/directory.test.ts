import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { type DeliveryFiles, deliverToDirectory, diskFiles } from '../../../clients/delivery/index.ts'
import { loadFromDirectory } from '../../../clients/workload/index.ts'
import { notRandom } from '../../provenance/small-log.ts'
import { deliveryOf, NOW, newKey, scratch } from './deliveries.ts'

const random = notRandom('directory')
const root = process.geteuid?.() === 0
const refused = (code: string) => ({ name: 'EvidenceError', code })

describe('delivery by file', () => {
  it('gives the workload what was delivered, in files that nobody else reads', async (t) => {
    const directory = join(scratch(t), 'payments')
    const delivery = await deliveryOf(1)
    const paths = await deliverToDirectory(directory, delivery, { random })

    const loaded = await loadFromDirectory(directory, { now: NOW })
    assert.equal(loaded.text, delivery.text)
    assert.deepEqual(loaded.bundle, delivery.bundle)
    assert.deepEqual(loaded.key, delivery.key)
    assert.equal(loaded.trustBundle, delivery.trustBundle)
    assert.equal(loaded.verified, false)

    assert.equal(statSync(directory).mode & 0o777, 0o700)
    for (const name of ['credential.jwt', 'bundle.provlog', 'trust-bundle.json', 'key.jwk']) {
      assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name)
    }
    assert.equal(readFileSync(paths.credential, 'utf8'), delivery.text)
    assert.deepEqual(new Uint8Array(readFileSync(paths.bundle)), delivery.bundle)
  })

  it('replaces files of before versions, and takes away the name of a credential of the other kind', async (t) => {
    const directory = scratch(t)
    writeFileSync(join(directory, 'credential.jwt'), 'by another program')
    const token = await deliveryOf(1)
    await deliverToDirectory(directory, token, { random })
    assert.equal(readFileSync(join(directory, 'credential.jwt'), 'utf8'), token.text)

    await deliverToDirectory(directory, { kind: 'wic', text: 'PEM', bundle: token.bundle }, { random })
    assert.equal(readFileSync(join(directory, 'credential.pem'), 'utf8'), 'PEM')
    for (const name of ['credential.jwt', 'key.jwk', 'trust-bundle.json']) {
      assert.throws(() => lstatSync(join(directory, name)), { code: 'ENOENT' }, name)
    }
  })

  it('keeps the version before and no other', async (t) => {
    const directory = scratch(t)
    const links: string[] = []
    for (let number = 1; number <= 4; number++) {
      await deliverToDirectory(directory, await deliveryOf(number), { random })
      links.push(readlinkSync(join(directory, 'current')))
    }
    const versions = readdirSync(directory).filter((name) => name.startsWith('v-'))
    assert.deepEqual(versions.sort(), links.slice(2).sort())
  })

  it('leaves the old credential or the new one, with its own bundle and key, wherever it breaks off', async (t) => {
    const [before, after] = [await deliveryOf(1), await deliveryOf(2)]
    let steps = 0
    for (let dieAt = 1; ; dieAt++) {
      const directory = join(scratch(t), 'payments')
      await deliverToDirectory(directory, before, { random })
      const files = dyingFiles(dieAt)
      const died = await deliverToDirectory(directory, after, { random, files }).then(
        () => false,
        (error: Error) => /killed/.test(error.message),
      )
      const { text, bundle, key } = await loadFromDirectory(directory, { now: NOW })
      const whole = text === before.text ? before : after
      assert.deepEqual({ text, bundle, key }, { text: whole.text, bundle: whole.bundle, key: whole.key }, `${dieAt}`)
      if (!died) assert.equal(whole, after)

      // What was left behind is in nobody's way, and gone after the next.
      await deliverToDirectory(directory, after, { random })
      assert.equal((await loadFromDirectory(directory, { now: NOW })).text, after.text)
      const names = readdirSync(directory)
      assert.equal(names.filter((name) => name.startsWith('v-')).length, 2, names.join())
      assert.equal(names.filter((name) => name.startsWith('.')).length, 0, names.join())
      if (!died) break
      steps = dieAt
    }
    assert.ok(steps >= 10, `${steps} steps`)
  })

  it('leaves nothing, or the first credential whole, where the very first delivery breaks off', async (t) => {
    const first = await deliveryOf(1)
    for (let dieAt = 1; dieAt < 30; dieAt++) {
      const directory = join(scratch(t), 'payments')
      const options = { random, files: dyingFiles(dieAt) }
      await deliverToDirectory(directory, first, options).catch(() => {})
      const loaded = await loadFromDirectory(directory, { now: NOW }).catch((error: { code: string }) => error.code)
      if (typeof loaded === 'string') assert.equal(loaded, 'no_delivery')
      else assert.deepEqual(loaded.key, first.key)
    }
  })

  it('never shows a mixed pair to who reads while it is replaced', async (t) => {
    const directory = scratch(t)
    const deliveries = await Promise.all([1, 2, 3, 4].map((number) => deliveryOf(number)))
    await deliverToDirectory(directory, deliveries[0]!, { random })
    let writing = true
    const write = async () => {
      for (let i = 0; i < 40; i++) await deliverToDirectory(directory, deliveries[i % 4]!, { random })
      writing = false
    }
    const seen = new Set<string>()
    const read = async () => {
      // Loading compares the credential with the bundle and the key that came with it.
      while (writing) seen.add((await loadFromDirectory(directory, { now: NOW })).text)
    }
    await Promise.all([write(), read(), read(), read()])
    assert.ok(seen.size > 1)
  })
})

describe('what is refused before anything is written', () => {
  const cases: [what: string, code: string, make: (directory: string) => void][] = [
    ['a directory that others may list', 'not_private', (directory) => chmodSync(directory, 0o750)],
    ['one that others may change', 'not_private', (directory) => chmodSync(directory, 0o702)],
    ['one below a directory that others may change', 'not_private', (path) => chmodSync(join(path, '..'), 0o777)],
    [
      'a symbolic link to a directory',
      'wrong_file_type',
      (directory) => {
        rmSync(directory, { recursive: true })
        mkdirSync(join(directory, '../elsewhere'), { mode: 0o700 })
        symlinkSync('elsewhere', directory)
      },
    ],
    [
      'a file',
      'wrong_file_type',
      (directory) => {
        rmSync(directory, { recursive: true })
        writeFileSync(directory, '')
      },
    ],
  ]
  for (const [what, code, make] of cases) {
    it(`${what} (${code})`, async (t) => {
      const directory = join(scratch(t), 'payments')
      mkdirSync(directory, { mode: 0o700 })
      make(directory)
      await assert.rejects(deliverToDirectory(directory, await deliveryOf(1), { random }), refused(code))
      await assert.rejects(loadFromDirectory(directory, { now: NOW }), refused(code))
    })
  }

  it('a directory of somebody else (wrong_owner)', { skip: !root && 'only root can make one' }, async (t) => {
    const directory = join(scratch(t), 'payments')
    mkdirSync(directory, { mode: 0o700 })
    chownSync(directory, 1234, 1234)
    await assert.rejects(deliverToDirectory(directory, await deliveryOf(1), { random }), refused('wrong_owner'))
    chownSync(directory, 0, 0)
    chownSync(join(directory, '..'), 1234, 1234)
    await assert.rejects(deliverToDirectory(directory, await deliveryOf(1), { random }), refused('wrong_owner'))
  })

  it('is not asked of a directory that others may only read, where that is enough', async (t) => {
    const directory = join(scratch(t), 'payments')
    mkdirSync(directory)
    chmodSync(directory, 0o755)
    await deliverToDirectory(directory, await deliveryOf(1), { random, closed: 'unchangeable' })
    await loadFromDirectory(directory, { now: NOW }, 'unchangeable')
    chmodSync(directory, 0o775)
    const again = deliverToDirectory(directory, await deliveryOf(1), { random, closed: 'unchangeable' })
    await assert.rejects(again, refused('not_private'))
  })
})

describe('what a workload refuses to load', () => {
  const version = (directory: string) => join(directory, readlinkSync(join(directory, 'current')))
  const cases: [what: string, code: string, change: (directory: string) => void][] = [
    ['a credential that others may read', 'not_private', (d) => chmodSync(join(version(d), 'credential.jwt'), 0o644)],
    ['a key that its group may read', 'not_private', (d) => chmodSync(join(version(d), 'key.jwk'), 0o640)],
    ['a version that others may look into', 'not_private', (d) => chmodSync(version(d), 0o755)],
    [
      'a bundle that is a link to a file elsewhere',
      'wrong_file_type',
      (directory) => {
        const path = join(version(directory), 'bundle.provlog')
        const elsewhere = join(directory, 'elsewhere')
        writeFileSync(elsewhere, readFileSync(path), { mode: 0o600 })
        unlinkSync(path)
        symlinkSync(elsewhere, path)
      },
    ],
    [
      'a pipe in place of the credential',
      'wrong_file_type',
      (directory) => {
        const path = join(version(directory), 'credential.jwt')
        unlinkSync(path)
        spawnSync('mkfifo', ['-m', '600', path])
      },
    ],
    [
      'a huge key',
      'malformed_delivery',
      (directory) => writeFileSync(join(version(directory), 'key.jwk'), Buffer.alloc(300_000)),
    ],
    ['an empty key', 'malformed_delivery', (directory) => writeFileSync(join(version(directory), 'key.jwk'), '')],
    [
      'another key than the credential is for',
      'key_mismatch',
      (directory) => writeFileSync(join(version(directory), 'key.jwk'), JSON.stringify(newKey())),
    ],
    ...['/etc', '../other', 'v-1', 'v-0123456789abcdef/..'].map((target): [string, string, (d: string) => void] => [
      `\`current\` leading to ${target}`,
      'malformed_delivery',
      (directory) => {
        unlinkSync(join(directory, 'current'))
        symlinkSync(target, join(directory, 'current'))
      },
    ]),
    ['`current` leading nowhere', 'no_delivery', (directory) => rmSync(version(directory), { recursive: true })],
    ['no delivery at all', 'no_delivery', (directory) => unlinkSync(join(directory, 'current'))],
  ]
  for (const [what, code, change] of cases) {
    it(`${what} (${code})`, async (t) => {
      const directory = scratch(t)
      await deliverToDirectory(directory, await deliveryOf(1), { random })
      change(directory)
      await assert.rejects(loadFromDirectory(directory, { now: NOW }), refused(code))
    })
  }

  it('the bundle of another credential (bundle_mismatch)', async (t) => {
    const directory = scratch(t)
    const { bundle } = await deliveryOf(2)
    await deliverToDirectory(directory, { ...(await deliveryOf(1)), bundle }, { random })
    await assert.rejects(loadFromDirectory(directory, { now: NOW }), refused('bundle_mismatch'))
  })

  it('a credential for another key than its own (key_mismatch)', async (t) => {
    const directory = scratch(t)
    const { key: _key, ...delivery } = await deliveryOf(1)
    await deliverToDirectory(directory, delivery, { random })
    await assert.rejects(loadFromDirectory(directory, { now: NOW, key: newKey() }), refused('key_mismatch'))
    await loadFromDirectory(directory, { now: NOW, key: _key })
  })

  it('a credential that has expired, or is not valid yet (credential_expired)', async (t) => {
    const directory = scratch(t)
    await deliverToDirectory(directory, await deliveryOf(1), { random })
    for (const now of [NOW - 61, NOW + 3600]) {
      await assert.rejects(loadFromDirectory(directory, { now }), refused('credential_expired'))
    }
    // By a clock that is a little behind the issuer's it was issued in the future, and it is good all the same.
    for (const now of [NOW - 60, NOW - 1, NOW + 3599]) await loadFromDirectory(directory, { now })
  })
})

/** The disk, until `dieAt`th step: a file that is written then is there by half, and nothing comes after. */
function dyingFiles(dieAt: number): DeliveryFiles {
  let step = 0
  const dying =
    <A extends unknown[]>(act: (...args: A) => Promise<void>, half?: (...args: A) => Promise<void>) =>
    async (...args: A): Promise<void> => {
      step++
      if (step === dieAt) await half?.(...args)
      if (step >= dieAt) throw new Error('killed')
      await act(...args)
    }
  return {
    makeDirectory: dying(diskFiles.makeDirectory),
    writeNew: dying(diskFiles.writeNew, (path, bytes) => diskFiles.writeNew(path, bytes.subarray(0, bytes.length / 2))),
    makeLink: dying(diskFiles.makeLink),
    rename: dying(diskFiles.rename),
    syncDirectory: dying(diskFiles.syncDirectory),
    remove: dying(diskFiles.remove),
  }
}
