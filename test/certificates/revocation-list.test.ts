// Revocation lists: what they are about and what they are not, beside `openssl verify -crl_check_all`.
import 'reflect-metadata'
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { KeyUsageFlags } from '@peculiar/x509'
import { concatBytes, utf8 } from '../../merkle/bytes.ts'
import { parseCertificate } from '../../provenance/certificates/certificate.ts'
import { checkNotRevoked, parseRevocationLists } from '../../provenance/certificates/revocation-list.ts'
import {
  AT,
  authority,
  authorityKeyId,
  certify,
  type Edits,
  extension,
  type Holder,
  keyId,
  type ListEdits,
  pem,
  pemBlock,
  revocationList,
  usage,
  without,
  workload,
} from './authority.ts'

const version = spawnSync('openssl', ['version'], { encoding: 'utf8' }).stdout?.trim()
const directory = mkdtempSync(join(tmpdir(), 'provlog-crl-'))
after(() => rmSync(directory, { recursive: true }))

/** The leaf first, the anchor last. */
interface World {
  readonly chain: readonly Holder[]
  readonly lists: readonly Uint8Array[]
}

function opensslRefusal({ chain, lists }: World): string | undefined {
  const write = (name: string, text: string) => {
    const path = join(directory, name)
    writeFileSync(path, text)
    return path
  }
  const files = [
    ...['-CAfile', write('anchor.pem', pem(chain.at(-1)!))],
    ...(chain.length > 2 ? ['-untrusted', write('between.pem', pem(...chain.slice(1, -1)))] : []),
    ...(lists.length > 0
      ? ['-CRLfile', write('lists.pem', lists.map((list) => pemBlock('X509 CRL', list)).join(''))]
      : []),
  ]
  const options = ['-no-CAfile', '-no-CApath', '-no-CAstore', '-attime', String(AT), '-crl_check_all']
  const { status, stderr } = spawnSync('openssl', ['verify', ...options, ...files, write('leaf.pem', pem(chain[0]!))], {
    encoding: 'utf8',
  })
  return status === 0 ? undefined : (/error [0-9]+ at .*/.exec(stderr)?.[0] ?? stderr.trim())
}

async function ourRefusal({ chain, lists }: World): Promise<string | undefined> {
  try {
    const parsed = lists.flatMap((list) => parseRevocationLists(list))
    await checkNotRevoked(
      chain.map(({ der }) => parseCertificate(der)),
      parsed,
      AT,
    )
    return undefined
  } catch (error) {
    assert.ok(error instanceof Error && error.name === 'EvidenceError', String(error))
    return (error as Error & { code: string }).code
  }
}

const root = await certify('root')
const other = await certify('other')
const leaf = (edits: Edits = {}) => certify('leaf', { issuer: root, extensions: workload(), ...edits })
const listed = ({ serial }: Holder, ...extensions: ReturnType<typeof extension>[]) => ({ serial, extensions })

/** A leaf of the root, and one list: of the root, with these edits. */
const direct =
  (edits: (holder: Holder) => ListEdits = () => ({})) =>
  async (): Promise<World> => {
    const holder = await leaf()
    return { chain: [holder, root], lists: [await revocationList(root, edits(holder))] }
  }
/** root → intermediate → leaf, with a list of each, or without. */
const under =
  (ofRoot: ((middle: Holder) => ListEdits) | undefined, ofMiddle: ListEdits | undefined) =>
  async (): Promise<World> => {
    const middle = await certify('intermediate', { issuer: root })
    const lists = [
      ...(ofRoot ? [await revocationList(root, ofRoot(middle))] : []),
      ...(ofMiddle ? [await revocationList(middle, ofMiddle)] : []),
    ]
    return { chain: [await leaf({ issuer: middle }), middle, root], lists }
  }

const REASON = extension('2.5.29.21', '0a0101', false)
const DELTA = (critical: boolean) => extension('2.5.29.27', '020101', critical)
/** Only for certificates of users. */
const PARTITION = (critical: boolean) => extension('2.5.29.28', '30038101ff', critical)

const WITHOUT_BASE = 'it takes a delta list for a whole one, and there is no base here'

type Case = readonly [what: string, code: string | undefined, make: () => Promise<World>, difference?: string]
const cases: readonly Case[] = [
  ['a list without entries', undefined, direct()],
  ['a list of others', undefined, direct(() => ({ entries: [listed(other)] }))],
  ['a certificate on the list', 'certificate_revoked', direct((it) => ({ entries: [listed(it)] }))],
  ['one with a reason', 'certificate_revoked', direct((it) => ({ entries: [listed(other), listed(it, REASON)] }))],
  ['no list', 'crl_missing', async () => ({ chain: [await leaf(), root], lists: [] })],
  [
    'a list of somebody else',
    'crl_missing',
    async () => ({ chain: [await leaf(), root], lists: [await revocationList(other)] }),
  ],
  ['a list that somebody else signed', 'crl_bad_signature', direct(() => ({ signer: other }))],
  [
    'a list in its last second',
    undefined,
    direct(() => ({ nextUpdate: AT })),
    'both ends are included here, as of certificates',
  ],
  ['a list past its end', 'crl_expired', direct(() => ({ nextUpdate: AT - 1 }))],
  [
    'a list past its end, with the certificate on it',
    'crl_expired',
    direct((it) => ({ nextUpdate: AT - 1, entries: [listed(it)] })),
  ],
  ['a list of the future', 'crl_not_yet_valid', direct(() => ({ thisUpdate: AT + 1 }))],
  [
    'a list that names no end',
    'malformed_crl',
    direct(() => ({ nextUpdate: null })),
    'RFC 5280 §5.1.2.5 demands nextUpdate',
  ],
  [
    'an unknown critical extension',
    'crl_unsupported',
    direct(() => ({ extensions: [extension('1.3.6.1.4.1.99999.1', '0500')] })),
  ],
  [
    'an unknown extension',
    undefined,
    direct(() => ({ extensions: [extension('1.3.6.1.4.1.99999.1', '0500', false)] })),
  ],
  [
    'an unknown critical extension of an entry',
    'crl_unsupported',
    direct(() => ({ entries: [listed(other, extension('1.3.6.1.4.1.99999.1', '0500'))] })),
  ],
  ['a delta list', 'crl_unsupported', direct(() => ({ extensions: [DELTA(true)] })), WITHOUT_BASE],
  [
    'a delta list that is not critical',
    'crl_unsupported',
    direct(() => ({ extensions: [DELTA(false)] })),
    WITHOUT_BASE,
  ],
  ['a list of a part of the certificates', 'crl_unsupported', direct(() => ({ extensions: [PARTITION(true)] }))],
  [
    'an authority without cRLSign',
    'crl_wrong_usage',
    async () => {
      const extensions = [...without(authority(), '2.5.29.15'), usage(KeyUsageFlags.keyCertSign)]
      const top = await certify('signs no lists', { extensions })
      return { chain: [await leaf({ issuer: top }), top], lists: [await revocationList(top)] }
    },
  ],
  [
    'a list of an authority of the same name and another key',
    'crl_missing',
    async () => {
      const top = await certify('root', { extensions: [...authority(), keyId('aa')], keys: other.keys })
      const list = await revocationList(top, { extensions: [authorityKeyId('bb')] })
      return { chain: [await leaf({ issuer: top }), top], lists: [list] }
    },
  ],
  ['a path with a list for each', undefined, under(() => ({}), {})],
  ['a path without a list of the intermediate', 'crl_missing', under(() => ({}), undefined)],
  ['a path without a list of the anchor', 'crl_missing', under(undefined, {})],
  [
    'an intermediate that is on the list',
    'certificate_revoked',
    under((middle) => ({ entries: [listed(middle)] }), {}),
  ],
  [
    'a list beside the one before it',
    undefined,
    async () => {
      const old = await revocationList(root, { thisUpdate: AT - 10, nextUpdate: AT - 5 })
      return { chain: [await leaf(), root], lists: [old, await revocationList(root, { thisUpdate: AT - 5 })] }
    },
  ],
]

describe(`revocation lists, beside ${version ?? 'nothing'}`, { skip: !version && 'there is no openssl here' }, () => {
  for (const [what, code, make, difference] of cases) {
    const verdict = code ? `is refused (${code})` : 'is accepted'
    it(`${what} ${verdict}${difference ? `, and OpenSSL differs: ${difference}` : ''}`, async () => {
      const world = await make()
      assert.equal(await ourRefusal(world), code)
      const theirs = opensslRefusal(world)
      const agree = (theirs === undefined) === (code === undefined)
      assert.equal(agree, difference === undefined, `OpenSSL says: ${theirs ?? 'OK'}`)
    })
  }
})

describe('parseRevocationLists', () => {
  it('reads one list in DER, and several in PEM', async () => {
    const lists = [await revocationList(root), await revocationList(other)]
    assert.equal(parseRevocationLists(lists[0]!).length, 1)
    const text = utf8(lists.map((list) => pemBlock('X509 CRL', list)).join('and\n'))
    assert.deepEqual(
      parseRevocationLists(text).map(({ issuer }) => issuer),
      lists.flatMap((list) => parseRevocationLists(list)).map(({ issuer }) => issuer),
    )
  })

  it('says until when its lists are good', async () => {
    const path = [await leaf(), root].map(({ der }) => parseCertificate(der))
    const lists = parseRevocationLists(await revocationList(root, { nextUpdate: AT + 7 }))
    assert.equal(await checkNotRevoked(path, lists, AT), AT + 7)
  })

  it('refuses every list cut short, and bytes after one (malformed_crl)', async () => {
    const whole = await revocationList(root, { entries: [listed(other, REASON)] })
    for (let length = 0; length < whole.length; length++) {
      assert.throws(() => parseRevocationLists(whole.subarray(0, length)), { code: 'malformed_crl' })
    }
    assert.throws(() => parseRevocationLists(concatBytes(whole, Uint8Array.of(0))), { code: 'malformed_crl' })
  })

  const refused: readonly (readonly [what: string, make: () => Uint8Array])[] = [
    ['nothing', () => new Uint8Array()],
    ['a certificate', () => root.der],
    ['a certificate in PEM', () => utf8(pem(root))],
    ['bytes that are no text', () => Uint8Array.of(0xff, 0xfe)],
    ['nine megabytes', () => new Uint8Array(9 * 1024 * 1024).fill(0x30)],
  ]
  for (const [what, make] of refused) {
    it(`refuses ${what} (malformed_crl)`, () => {
      assert.throws(() => parseRevocationLists(make()), { code: 'malformed_crl' })
    })
  }
})
