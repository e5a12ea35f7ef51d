// The certificate path against `openssl verify`: for each chain what we say, what OpenSSL says, and where the two differ, why.
import 'reflect-metadata'
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { type Extension, KeyUsageFlags } from '@peculiar/x509'
import { utf8 } from '../../merkle/bytes.ts'
import { parseCertificate } from '../../provenance/certificates/certificate.ts'
import { parseCredential, verifyCredentialSignature } from '../../provenance/credential.ts'
import {
  AT,
  authority,
  authorityKeyId,
  CLIENT,
  CODE,
  certify,
  commonName,
  constraints,
  der,
  type Edits,
  extension,
  type Holder,
  type Kind,
  keyId,
  names,
  notCa,
  pem,
  purposes,
  SERVER,
  SUBJECT,
  uris,
  usage,
  without,
  workload,
} from './authority.ts'

const version = (() => {
  try {
    return execFileSync('openssl', ['version'], { encoding: 'utf8' }).trim()
  } catch {
    return undefined
  }
})()
const skip = version === undefined && 'there is no openssl on this machine to compare with'
const directory = skip ? '' : mkdtempSync(join(tmpdir(), 'provlog-openssl-'))
after(() => directory && rmSync(directory, { recursive: true }))

/** The leaf first, the anchor last. */
type Chain = readonly Holder[]

/**
 * Both purposes, since a workload is a client and a server; our depth; 112 bits, which is RSA of 2048 bits and no SHA-1.
 *
 * @returns why it is refused
 */
function opensslRefusal(chain: Chain): string | undefined {
  const write = (name: string, ...certificates: readonly Holder[]) => {
    const path = join(directory, name)
    writeFileSync(path, pem(...certificates))
    return path
  }
  const anchor = write('anchor.pem', chain.at(-1)!)
  const between = write('between.pem', ...chain.slice(1, -1))
  const leaf = write('leaf.pem', chain[0]!)
  for (const purpose of ['sslclient', 'sslserver']) {
    const { status, stderr } = spawnSync(
      'openssl',
      [
        ...['verify', '-no-CAfile', '-no-CApath', '-no-CAstore', '-CAfile', anchor],
        ...(chain.length > 2 ? ['-untrusted', between] : []),
        ...[
          '-attime',
          String(AT),
          '-auth_level',
          '2',
          '-verify_depth',
          '3',
          '-policy_check',
          '-purpose',
          purpose,
          leaf,
        ],
      ],
      { encoding: 'utf8' },
    )
    if (status !== 0) return `${purpose}: ${/error [0-9]+ at .*/.exec(stderr)?.[0] ?? stderr.trim()}`
  }
  return undefined
}

/** @returns the code of our refusal */
async function ourRefusal(chain: Chain, trustDomain = 'bank.example'): Promise<string | undefined> {
  try {
    const credential = parseCredential(utf8(pem(...chain.slice(0, -1))))
    const certificates = [parseCertificate(chain.at(-1)!.der)]
    await verifyCredentialSignature(credential, { trustDomain, tokenKeys: new Map(), certificates }, AT)
    return undefined
  } catch (error) {
    assert.ok(error instanceof Error && error.name === 'EvidenceError', String(error))
    return (error as Error & { code: string }).code
  }
}

type Case = readonly [
  what: string,
  code: string | undefined,
  chain: () => Promise<Chain>,
  /** Why OpenSSL says the opposite. */
  difference?: string,
]

function compare(title: string, cases: readonly Case[]): void {
  describe(`${title}, beside ${version}`, { skip }, () => {
    for (const [what, code, make, difference] of cases) {
      const verdict = code ? `is refused (${code})` : 'is accepted'
      it(`${what} ${verdict}${difference ? `, and OpenSSL differs: ${difference}` : ''}`, async () => {
        const chain = await make()
        assert.equal(await ourRefusal(chain), code)
        const theirs = opensslRefusal(chain)
        const agree = (theirs === undefined) === (code === undefined)
        assert.equal(agree, difference === undefined, `OpenSSL says: ${theirs ?? 'OK'}`)
      })
    }
  })
}

const root = await certify('root')
const other = await certify('other')
const leaf = (edits: Edits = {}) => certify('leaf', { issuer: root, extensions: workload(), ...edits })
const direct =
  (edits: Edits = {}) =>
  async () => [await leaf(edits), root]
/** root → intermediate → leaf */
const under =
  (edits: Edits = {}, below: Edits = {}) =>
  async () => {
    const middle = await certify('intermediate', { issuer: root, ...edits })
    return [await leaf({ issuer: middle, ...below }), middle, root]
  }
/** Under a root of its own. */
const rooted =
  (edits: Edits, below: Edits = {}) =>
  async () => {
    const top = await certify('own root', edits)
    return [await leaf({ issuer: top, ...below }), top]
  }
/** With this many intermediates; `pathLengths` from the anchor down. */
const deep =
  (between: number, pathLengths: readonly (number | undefined)[] = []) =>
  async () => {
    let issuer = await certify('top', { extensions: authority(pathLengths[0]) })
    const chain = [issuer]
    for (let i = 1; i <= between; i++) {
      issuer = await certify(`level ${i}`, { issuer, extensions: authority(pathLengths[i]) })
      chain.unshift(issuer)
    }
    return [await leaf({ issuer }), ...chain]
  }
const withLeaf = (...change: Extension[]) => direct({ extensions: workload(...change) })
const withMiddle = (...more: Extension[]) => under({ extensions: authority(undefined, ...more) })

const DS = KeyUsageFlags.digitalSignature
const unknown = (critical: boolean) => extension('1.3.6.1.4.1.99999.1', '0500', critical)

compare('signatures and keys', [
  ['a leaf of an anchor', undefined, direct()],
  ['a leaf of an intermediate', undefined, under()],
  ...(['P-384', 'P-521', 'RSA-2048', 'RSA-PSS', 'Ed25519'] as Kind[]).flatMap((kind): Case[] => [
    [`a leaf under ${kind}`, undefined, rooted({ kind })],
    [`a leaf under an intermediate of ${kind}`, undefined, under({ kind })],
    ...(kind === 'RSA-PSS' ? [] : [[`a leaf with a key of ${kind}`, undefined, direct({ kind })] as Case]),
  ]),
  ['a leaf by SHA-256 under P-384', undefined, rooted({ kind: 'P-384' }, { hash: 'SHA-256' })],
  ['a leaf by SHA-512 under P-256', undefined, direct({ hash: 'SHA-512' })],
  ['a leaf by SHA-1', 'unsupported_algorithm', direct({ hash: 'SHA-1' })],
  ['a leaf by SHA-1 under RSA', 'unsupported_algorithm', rooted({ kind: 'RSA-SHA1' })],
  ['an intermediate by SHA-1', 'unsupported_algorithm', under({ hash: 'SHA-1' })],
  ['an anchor that signed itself by SHA-1', undefined, rooted({ hash: 'SHA-1' })],
  ['a leaf with RSA of 1024 bits', 'weak_key', direct({ kind: 'RSA-1024' })],
  ['an intermediate with RSA of 1024 bits', 'weak_key', under({ kind: 'RSA-1024' })],
  ['an anchor with RSA of 1024 bits', 'weak_key', rooted({ kind: 'RSA-1024' })],
  ['another anchor', 'unknown_anchor', async () => [await leaf(), other]],
  [
    'another anchor of the same name',
    'bad_signature',
    async () => [await leaf(), await certify('root', { keys: other.keys })],
  ],
  [
    'a signature that was changed',
    'bad_signature',
    async () => {
      const honest = await leaf({ kind: 'P-256', issuer: await certify('rsa', { kind: 'RSA-2048' }) })
      const changed = honest.der.slice()
      changed[changed.length - 1]! ^= 1
      return [{ ...honest, der: changed }, await certify('rsa', { kind: 'RSA-2048' })]
    },
  ],
])

compare('dates', [
  ['a leaf in its first second', undefined, direct({ notBefore: AT })],
  ['a leaf in its last second', undefined, direct({ notAfter: AT }), 'RFC 5280 §4.1.2.5 includes both ends'],
  ['a leaf that expired', 'credential_expired', direct({ notAfter: AT - 1 })],
  ['a leaf that has not begun', 'credential_not_yet_valid', direct({ notBefore: AT + 1 })],
  ['an intermediate that expired', 'credential_expired', under({ notAfter: AT - 1 })],
  ['an intermediate that has not begun', 'credential_not_yet_valid', under({ notBefore: AT + 1 })],
  ['an anchor that expired', 'credential_expired', rooted({ notAfter: AT - 1 })],
  ['an anchor that has not begun', 'credential_not_yet_valid', rooted({ notBefore: AT + 1 })],
])

compare('depth', [
  ['three intermediates', undefined, deep(3)],
  ['four intermediates', 'certificate_path_too_long', deep(4)],
  ['pathLen 0 and no intermediate', undefined, deep(0, [0])],
  ['pathLen 0 and an intermediate', 'certificate_path_too_long', deep(1, [0])],
  ['pathLen 1 and an intermediate', undefined, deep(1, [1])],
  ['pathLen 1 and two intermediates', 'certificate_path_too_long', deep(2, [1])],
  ['an intermediate of pathLen 0 right above the leaf', undefined, deep(2, [undefined, undefined, 0])],
  ['an intermediate of pathLen 0 above another', 'certificate_path_too_long', deep(2, [undefined, 0])],
  ['a second pathLen that is larger than the first', 'certificate_path_too_long', deep(3, [1, 5, 5, 5])],
  [
    'an intermediate missing',
    'unknown_anchor',
    async () => {
      const [last, , ...rest] = await deep(2)()
      return [last!, ...rest]
    },
  ],
  [
    'intermediates in another order',
    undefined,
    async () => {
      const [last, a, b, c, anchor] = await deep(3)()
      return [last!, b!, c!, a!, anchor!]
    },
  ],
  [
    'a certificate that issued itself, below pathLen 0',
    'certificate_path_too_long',
    async () => {
      const [a, b] = [authority(0, keyId('aa')), authority(0, keyId('bb'), authorityKeyId('aa'))]
      const top = await certify('rolling', { extensions: a })
      const next = await certify('rolling', { issuer: top, keys: other.keys, extensions: b })
      return [await leaf({ issuer: next, extensions: workload(authorityKeyId('bb')) }), next, top]
    },
    'RFC 5280 §4.2.1.9 does not count it; here every certificate counts',
  ],
])

compare('authority', [
  [
    'an intermediate without basicConstraints',
    'certificate_not_ca',
    under({ extensions: without(authority(), '2.5.29.19') }),
  ],
  [
    'an intermediate with CA:FALSE',
    'certificate_not_ca',
    under({ extensions: [notCa(), usage(KeyUsageFlags.keyCertSign)] }),
  ],
  [
    'an intermediate without keyCertSign',
    'certificate_not_ca',
    under({ extensions: [...without(authority(), '2.5.29.15'), usage(KeyUsageFlags.cRLSign)] }),
  ],
  [
    'an intermediate without keyUsage',
    'certificate_not_ca',
    under({ extensions: without(authority(), '2.5.29.15') }),
    'RFC 5280 has absence mean everything; X509-SVID §4.3 wants keyUsage on every SVID',
  ],
  [
    'a leaf that issued a leaf',
    'certificate_not_ca',
    async () => {
      const middle = await certify('leaf', { issuer: root, extensions: workload() })
      return [await certify('below', { issuer: middle, extensions: workload() }), middle, root]
    },
  ],
  [
    'a leaf with CA:TRUE',
    'certificate_is_ca',
    direct({ extensions: workload(...authority(undefined, usage(KeyUsageFlags.keyCertSign | DS)).slice(0, 1)) }),
    'X509-SVID §5.2: nobody authenticates as an authority',
  ],
  ['a leaf with keyCertSign', 'certificate_is_ca', withLeaf(usage(DS | KeyUsageFlags.keyCertSign)), 'X509-SVID §5.2'],
  ['a leaf with cRLSign', 'certificate_is_ca', withLeaf(usage(DS | KeyUsageFlags.cRLSign)), 'X509-SVID §5.2'],
  [
    'a leaf with a pathLen',
    'malformed_credential',
    withLeaf(notCa(0)),
    'RFC 5280 §4.2.1.9: only a CA may have one; OpenSSL wants that with -x509_strict alone',
  ],
])

compare('usage and purposes', [
  ['a leaf for key agreement alone', 'certificate_wrong_usage', withLeaf(usage(KeyUsageFlags.keyEncipherment))],
  ['a leaf that may also encipher keys', undefined, withLeaf(usage(DS | KeyUsageFlags.keyEncipherment))],
  [
    'a leaf without keyUsage',
    'certificate_wrong_usage',
    direct({ extensions: without(workload(), '2.5.29.15') }),
    'X509-SVID §4.3',
  ],
  [
    'a leaf with a keyUsage that is not critical',
    'certificate_wrong_usage',
    withLeaf(usage(DS, false)),
    'X509-SVID §4.3',
  ],
  ['a leaf without extKeyUsage', undefined, direct({ extensions: without(workload(), '2.5.29.37') })],
  ['a leaf for clients alone', 'certificate_wrong_usage', withLeaf(purposes(CLIENT))],
  ['a leaf for servers alone', 'certificate_wrong_usage', withLeaf(purposes(SERVER))],
  ['a leaf for code alone', 'certificate_wrong_usage', withLeaf(purposes(CODE))],
  ['a leaf for any purpose', 'certificate_wrong_usage', withLeaf(purposes('2.5.29.37.0'))],
  ['a leaf for both and for code', undefined, withLeaf(purposes(CLIENT, SERVER, CODE))],
  ['an intermediate for both', undefined, withMiddle(purposes(CLIENT, SERVER))],
  ['an intermediate for code', 'certificate_wrong_usage', withMiddle(purposes(CODE))],
  ['an intermediate for servers alone', 'certificate_wrong_usage', withMiddle(purposes(SERVER))],
  [
    'an intermediate for any purpose',
    undefined,
    withMiddle(purposes('2.5.29.37.0')),
    'it knows anyExtendedKeyUsage for no purpose of TLS; RFC 5280 §4.2.1.12 has it restrict nothing',
  ],
  ['an anchor for code', 'certificate_wrong_usage', rooted({ extensions: authority(undefined, purposes(CODE)) })],
])

compare('extensions', [
  ['an unknown one', undefined, withLeaf(unknown(false))],
  ['an unknown critical one on the leaf', 'unknown_critical_extension', withLeaf(unknown(true))],
  ['an unknown critical one on an intermediate', 'unknown_critical_extension', withMiddle(unknown(true))],
  [
    'an unknown critical one on the anchor',
    'unknown_critical_extension',
    rooted({ extensions: authority(undefined, unknown(true)) }),
  ],
  [
    'two of one kind',
    'malformed_credential',
    direct({ extensions: [...workload(), unknown(false), unknown(false)] }),
    'RFC 5280 §4.2 forbids it, and OpenSSL looks at duplicates of those that it reads alone',
  ],
  ['critical policies that nothing demands', undefined, withLeaf(extension('2.5.29.32', '300a300806062a0304050607'))],
  [
    'a policy that is demanded and not there',
    'unknown_critical_extension',
    withMiddle(extension('2.5.29.36', '3003800100')),
  ],
  [
    'policy constraints that demand nothing yet',
    'unknown_critical_extension',
    withMiddle(extension('2.5.29.36', '300380010a')),
    'we process no policy constraints, whatever they say',
  ],
  [
    'an authority key id of another key',
    'unknown_anchor',
    async () => [await keyed('aa', 'bb'), await identified('aa')],
  ],
  ['an authority key id of the anchor', undefined, async () => [await keyed('aa', 'aa'), await identified('aa')]],
  [
    'an authority by issuer and serial',
    undefined,
    async () => [await leaf({ extensions: workload(authorityBySerial('root', root.serial)) }), root],
  ],
  [
    'an authority by another serial',
    'unknown_anchor',
    async () => [await leaf({ extensions: workload(authorityBySerial('root', '77')) }), root],
  ],
  [
    'an authority by another issuer',
    'unknown_anchor',
    async () => [await leaf({ extensions: workload(authorityBySerial('other', root.serial)) }), root],
  ],
])

function identified(id: string): Promise<Holder> {
  return certify('identified', { extensions: authority(undefined, keyId(id)) })
}
async function keyed(id: string, named: string): Promise<Holder> {
  return leaf({ issuer: await identified(id), extensions: workload(authorityKeyId(named)) })
}
function authorityBySerial(issuer: string, serial: string) {
  const number = Uint8Array.from(Buffer.from(serial.padStart(serial.length + (serial.length % 2), '0'), 'hex'))
  return extension('2.5.29.35', der(0x30, der(0xa1, der(0xa4, commonName(issuer, 0x13))), der(0x82, number)), false)
}

const IDENTITY = 'what a certificate is for OpenSSL leaves to who asks'
compare('identity', [
  ['two URI names', 'identifier_ambiguous', withLeaf(uris(SUBJECT, 'spiffe://bank.example/admin')), IDENTITY],
  ['no URI name', 'identifier_missing', withLeaf(names([{ type: 'dns', value: 'bank.example' }])), IDENTITY],
  ['a URI of another kind', 'malformed_identifier', withLeaf(uris('https://bank.example/payments')), IDENTITY],
  ['a trust domain without a path', 'malformed_identifier', withLeaf(uris('spiffe://bank.example')), IDENTITY],
  ['another trust domain', 'trust_domain_mismatch', withLeaf(uris('spiffe://shop.example/payments')), IDENTITY],
  [
    'an authority without a name',
    'malformed_credential',
    rooted({ subject: '' }),
    'RFC 5280 §4.1.2.6, which OpenSSL asks for with -x509_strict alone',
  ],
  ['a serial number of 20 bytes', undefined, direct({ serial: '7f'.repeat(20) })],
  [
    'a serial number of 21 bytes',
    'malformed_credential',
    direct({ serial: '7f'.repeat(21) }),
    'RFC 5280 §4.1.2.2, which binds those who issue',
  ],
  [
    'an empty subject, and names that are not critical',
    'malformed_credential',
    direct({ subject: '' }),
    'RFC 5280 §4.1.2.6; OpenSSL wants that with -x509_strict alone',
  ],
  [
    'an empty subject, and critical names',
    undefined,
    direct({ subject: '', extensions: workload(names([{ type: 'url', value: SUBJECT }], true)) }),
  ],
  [
    'an intermediate of another trust domain',
    'trust_domain_mismatch',
    withMiddle(uris('spiffe://shop.example')),
    IDENTITY,
  ],
  ['an intermediate of the trust domain', undefined, withMiddle(uris('spiffe://bank.example'))],
  ['an intermediate that is a workload', 'trust_domain_mismatch', withMiddle(uris(SUBJECT)), IDENTITY],
])

/** What an intermediate may issue, and what it issued: a leaf with these names beside its identifier. */
const constrained = (
  lists: Parameters<typeof constraints>[0],
  more: Parameters<typeof names>[0] = [],
  edits: Edits = {},
) =>
  under(
    { extensions: authority(undefined, constraints(lists)) },
    { extensions: workload(names([{ type: 'url', value: SUBJECT }, ...more])), ...edits },
  )
const dns = (value: string) => [{ type: 'dns', value }] as const
const mail = (value: string) => [{ type: 'email', value }] as const
const address = (value: string) => [{ type: 'ip', value }] as const
const NO = 'name_not_permitted'

compare('name constraints', [
  ['the host of the identifier', undefined, constrained({ permitted: [['uri', 'bank.example']] })],
  ['the host in another case', undefined, constrained({ permitted: [['uri', 'BANK.example']] })],
  [
    'one of two hosts',
    undefined,
    constrained({
      permitted: [
        ['uri', 'shop.example'],
        ['uri', 'bank.example'],
      ],
    }),
  ],
  ['another host', NO, constrained({ permitted: [['uri', 'shop.example']] })],
  ['a host that ends alike', NO, constrained({ permitted: [['uri', 'ank.example']] })],
  ['the domain above, as host', NO, constrained({ permitted: [['uri', 'example']] })],
  ['the domain above', undefined, constrained({ permitted: [['uri', '.example']] })],
  ['a domain that the host is, and not under', NO, constrained({ permitted: [['uri', '.bank.example']] })],
  ['the host excluded', NO, constrained({ excluded: [['uri', 'bank.example']] })],
  ['the domain above excluded', NO, constrained({ excluded: [['uri', '.example']] })],
  ['another host excluded', undefined, constrained({ excluded: [['uri', 'shop.example']] })],
  [
    'permitted, and excluded',
    NO,
    constrained({ permitted: [['uri', '.example']], excluded: [['uri', 'bank.example']] }),
  ],
  ['names of another kind constrained', undefined, constrained({ permitted: [['dns', 'shop.example']] })],
  ['a DNS name', undefined, constrained({ permitted: [['dns', 'bank.example']] }, dns('bank.example'))],
  ['a DNS name under it', undefined, constrained({ permitted: [['dns', 'bank.example']] }, dns('a.b.bank.example'))],
  [
    'a DNS name in another case',
    undefined,
    constrained({ permitted: [['dns', 'bank.example']] }, dns('A.BANK.example')),
  ],
  ['a DNS name that ends alike', NO, constrained({ permitted: [['dns', 'bank.example']] }, dns('mybank.example'))],
  ['any DNS name', undefined, constrained({ permitted: [['dns', '']] }, dns('shop.example'))],
  ['a DNS name under a dot', undefined, constrained({ permitted: [['dns', '.bank.example']] }, dns('a.bank.example'))],
  ['the DNS name of the dot', NO, constrained({ permitted: [['dns', '.bank.example']] }, dns('bank.example'))],
  ['a DNS name excluded', NO, constrained({ excluded: [['dns', 'bank.example']] }, dns('a.bank.example'))],
  ['all DNS names excluded', NO, constrained({ excluded: [['dns', '']] }, dns('a.bank.example'))],
  [
    'a wildcard that is also the DNS name excluded',
    NO,
    constrained({ excluded: [['dns', 'eu.bank.example']] }, dns('*.bank.example')),
    'RFC 9525 §6.3 has a wildcard stand for every name of its length',
  ],
  [
    'a wildcard beside the DNS name excluded',
    undefined,
    constrained({ excluded: [['dns', 'eu.bank.example']] }, dns('*.shop.example')),
  ],
  [
    'a wildcard under the domain',
    undefined,
    constrained({ permitted: [['dns', 'bank.example']] }, dns('*.bank.example')),
  ],
  [
    'a DNS name that is none',
    NO,
    constrained({ permitted: [['dns', 'bank.example']] }, dns('.bank.example')),
    'RFC 5280 §4.2.1.6: a label has a character at least',
  ],
  [
    'a mailbox with two hosts',
    NO,
    constrained({ permitted: [['email', 'bank.example']] }, mail('ops@shop.example@bank.example')),
    'RFC 5280 §4.2.1.6: a mailbox has one host, and which of the two it is nobody can tell',
  ],
  [
    'one DNS name of two',
    NO,
    constrained({ permitted: [['dns', 'bank.example']] }, [...dns('bank.example'), ...dns('shop.example')]),
  ],
  ['a mailbox', undefined, constrained({ permitted: [['email', 'ops@bank.example']] }, mail('ops@bank.example'))],
  ['another mailbox', NO, constrained({ permitted: [['email', 'ops@bank.example']] }, mail('dev@bank.example'))],
  [
    'a mailbox of the host',
    undefined,
    constrained({ permitted: [['email', 'bank.example']] }, mail('ops@bank.example')),
  ],
  [
    'a mailbox of a host under it',
    NO,
    constrained({ permitted: [['email', 'bank.example']] }, mail('ops@eu.bank.example')),
  ],
  [
    'a mailbox of the domain',
    undefined,
    constrained({ permitted: [['email', '.bank.example']] }, mail('ops@eu.bank.example')),
  ],
  ['a mailbox excluded', NO, constrained({ excluded: [['email', 'bank.example']] }, mail('ops@bank.example'))],
  [
    'a mailbox in the subject',
    undefined,
    constrained({ permitted: [['email', 'bank.example']] }, [], { subject: 'CN=leaf, E=ops@bank.example' }),
  ],
  [
    'another mailbox in the subject',
    NO,
    constrained({ permitted: [['email', 'bank.example']] }, [], { subject: 'CN=leaf, E=ops@shop.example' }),
  ],
  [
    'a mailbox excluded, in the subject beside one that is not',
    NO,
    constrained({ excluded: [['email', 'bank.example']] }, mail('ops@shop.example'), {
      subject: 'CN=leaf, E=ops@bank.example',
    }),
  ],
  [
    'more mailboxes in the subject than anybody has',
    'malformed_credential',
    constrained({ permitted: [['email', 'bank.example']] }, [], {
      subject: ['CN=leaf', ...Array.from({ length: 17 }, (_, i) => `E=${i}@bank.example`)].join(', '),
    }),
    'each is compared with each constraint',
  ],
  ['an address', undefined, constrained({ permitted: [['ip', '0a000000ff000000']] }, address('10.1.2.3'))],
  ['an address outside', NO, constrained({ permitted: [['ip', '0a000000ff000000']] }, address('11.1.2.3'))],
  ['an address excluded', NO, constrained({ excluded: [['ip', '0a000000ff000000']] }, address('10.1.2.3'))],
  [
    'an address of the other family',
    NO,
    constrained({ permitted: [['ip', '0a000000ff000000']] }, address('2001:db8::1')),
  ],
  ['the subject', undefined, constrained({ permitted: [['directory', 'leaf']] })],
  ['the subject in another case', undefined, constrained({ permitted: [['directory', 'LEAF']] })],
  ['another subject', NO, constrained({ permitted: [['directory', 'root']] })],
  ['the subject excluded', NO, constrained({ excluded: [['directory', 'LeaF']] })],
  ['another subject excluded', undefined, constrained({ excluded: [['directory', 'root']] })],
  [
    'no subject at all',
    undefined,
    constrained({ permitted: [['directory', 'root']] }, [], {
      subject: '',
      extensions: workload(names([{ type: 'url', value: SUBJECT }], true)),
    }),
  ],
  [
    'a constraint of the anchor',
    NO,
    rooted({ extensions: authority(undefined, constraints({ permitted: [['uri', 'shop.example']] })) }),
  ],
  [
    'a constraint that is not critical',
    NO,
    under({ extensions: authority(undefined, constraints({ permitted: [['uri', 'shop.example']] }, false)) }),
  ],
  [
    'a constraint two levels up, widened in between',
    NO,
    async () => {
      const narrow = constraints({ permitted: [['uri', 'shop.example']] })
      const top = await certify('narrow', { extensions: authority(undefined, narrow) })
      const wide = constraints({ permitted: [['uri', 'bank.example']] })
      const middle = await certify('wide', { issuer: top, extensions: authority(undefined, wide) })
      return [await leaf({ issuer: middle }), middle, top]
    },
  ],
  [
    'an intermediate whose own name is not permitted',
    NO,
    async () => {
      const extensions = authority(undefined, constraints({ permitted: [['dns', 'bank.example']] }))
      const top = await certify('narrow', { extensions })
      const named = authority(undefined, names(dns('shop.example')))
      const middle = await certify('named', { issuer: top, extensions: named })
      return [await leaf({ issuer: middle }), middle, top]
    },
  ],
  [
    'a subtree with a minimum',
    'malformed_der',
    withMiddle(extension('2.5.29.30', '3015a013301186 0c62616e6b2e6578616d706c65800101'.replace(' ', ''))),
  ],
  [
    'constraints on a leaf',
    'malformed_credential',
    withLeaf(constraints({ permitted: [['uri', 'shop.example']] })),
    'RFC 5280 §4.2.1.10: they are for CAs; OpenSSL passes over them',
  ],
])
