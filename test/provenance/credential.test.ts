import 'reflect-metadata'
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as x509 from '@peculiar/x509'
import { fromHex, fromUtf8, toBase64, toBase64url, toHex, utf8 } from '../../merkle/bytes.ts'
import { sha256 } from '../../merkle/hash.ts'
import { decodePem, parseCertificate } from '../../provenance/certificates/certificate.ts'
import { jwkOfSpki, spkiOfJwk } from '../../provenance/certificates/certificate-key.ts'
import { checkCertificatePath } from '../../provenance/certificates/workload-certificate.ts'
import { parseCredential, type TrustDomainAnchors, verifyCredentialSignature } from '../../provenance/credential.ts'
import { decodeCompactJws, signCompactJws } from '../../provenance/jws.ts'
import { jwkThumbprint, kidOf, type PrivateJwk, publicJwkOf } from '../../statement/cose-key.ts'
import {
  AT,
  anchorCertificate,
  type CertificateEdits,
  ISSUED_AT,
  issueWic,
  KEYS,
  LIFETIME,
  leafExtensions,
  newKey,
  SUBJECT,
} from './world.ts'

const workload = publicJwkOf(KEYS.workload)
const issuerKid = kidOf(publicJwkOf(KEYS.issuer))
const anchors: TrustDomainAnchors = {
  trustDomain: 'bank.example',
  tokenKeys: new Map([[issuerKid, publicJwkOf(KEYS.issuer)]]),
  certificates: [parseCertificate(await anchorCertificate())],
}

const honestClaims = {
  iss: 'https://bank.example',
  sub: SUBJECT,
  jti: 'jti-0001',
  exp: ISSUED_AT + LIFETIME,
  cnf: { jwk: { ...workload, alg: 'ES256', kid: 'w' } },
}
/** The same trust domain with WIMSE's profile. */
const WIMSE = { rules: { tokenProfile: 'wimse' } } as const
const honestHeader: { [name: string]: string } = { typ: 'wit+jwt', kid: issuerKid }
async function wit(
  claims: object | string = {},
  header: object = {},
  key: PrivateJwk = KEYS.issuer,
): Promise<Uint8Array> {
  const payload = typeof claims === 'string' ? claims : JSON.stringify({ ...honestClaims, ...claims })
  // Through JSON, so that members set to undefined are gone.
  return utf8(await signCompactJws(JSON.parse(JSON.stringify({ ...honestHeader, ...header })), payload, key))
}

describe('parseCredential, of a WIT', () => {
  it('gives what it claims, and the digest of its ASCII', async () => {
    const bytes = await wit()
    const credential = parseCredential(bytes)
    assert.equal(credential.kind, 'wit')
    assert.equal(credential.subject.uri, SUBJECT)
    assert.equal(credential.identifier, 'jti-0001')
    assert.equal(credential.notBefore, undefined)
    assert.equal(credential.notAfter, ISSUED_AT + LIFETIME)
    assert.equal(credential.keyThumbprint, jwkThumbprint(workload))
    assert.equal(toHex(credential.digest), toHex(sha256(bytes)))
  })

  it('has no identifier without a jti: the standard makes it optional', async () => {
    assert.equal(parseCredential(await wit({ jti: undefined })).identifier, undefined)
  })

  it('ignores one line break at the end, and no other white space', async () => {
    const bytes = await wit()
    for (const end of ['\n', '\r\n']) {
      assert.equal(toHex(parseCredential(Uint8Array.of(...bytes, ...utf8(end))).digest), toHex(sha256(bytes)))
    }
    for (const end of ['\n\n', ' ', '\r', '\t']) {
      assert.throws(() => parseCredential(Uint8Array.of(...bytes, ...utf8(end))), { code: 'malformed_jws' })
    }
  })

  it('ignores claims that it does not know', async () => {
    assert.equal(parseCredential(await wit({ 'https://x.example/y': 1.5 })).kind, 'wit')
  })

  const jwk = (change: object) => ({ cnf: { jwk: { ...honestClaims.cnf.jwk, ...change } } })
  const refused: [what: string, code: string, claims: object | string, header?: object][] = [
    ['another typ', 'malformed_credential', {}, { typ: 'JWT' }],
    ['no typ', 'malformed_credential', {}, { typ: undefined }],
    ['no subject', 'malformed_credential', { sub: undefined }],
    ['two subjects', 'malformed_credential', { sub: [SUBJECT, SUBJECT] }],
    ['a subject that is no identifier', 'malformed_identifier', { sub: 'payments' }],
    ['a second subject', 'malformed_json', JSON.stringify(honestClaims).replace('{', '{"sub":"spiffe://a.example/b",')],
    ['no end', 'malformed_credential', { exp: undefined }],
    ['an end as text', 'malformed_credential', { exp: '1900000000' }],
    ['an end as float', 'malformed_credential', JSON.stringify(honestClaims).replace(/"exp":[0-9]*/, '"exp":1.9e9')],
    ['no key', 'malformed_credential', { cnf: undefined }],
    ['a key by reference', 'malformed_credential', { cnf: { jku: 'https://x.example' } }],
    ['a key without algorithm', 'malformed_credential', jwk({ alg: undefined })],
    ['a key for encryption', 'unsupported_key', jwk({ alg: 'ECDH-ES+A256KW' })],
    ['a key with another algorithm', 'unsupported_key', jwk({ alg: 'HS256' })],
    ['a private key', 'malformed_key', jwk({ d: workload.x })],
    ['a key off the curve', 'weak_key', jwk({ x: 'A'.repeat(43) })],
    ['a jti that is a number', 'malformed_credential', { jti: 7 }],
    ['claims that are a list', 'malformed_credential', '[]'],
  ]
  for (const [what, code, claims, header] of refused) {
    it(`refuses ${what} (${code})`, async () => {
      const bytes = await wit(claims, header)
      assert.throws(() => parseCredential(bytes), { code })
    })
  }

  it('refuses tokens without a signature', () => {
    const none = `${toBase64url(utf8('{"alg":"none","typ":"wit+jwt"}'))}.${toBase64url(utf8(JSON.stringify(honestClaims)))}.`
    assert.throws(() => parseCredential(utf8(none)), { code: 'unsupported_algorithm' })
  })
})

describe('verifyCredentialSignature, of a WIT', () => {
  const check = async (bytes: Uint8Array, change: Partial<TrustDomainAnchors> = {}, at = AT) =>
    verifyCredentialSignature(parseCredential(bytes), { ...anchors, ...change }, at)

  it('accepts the key that the token names, and the only key when it names none', async () => {
    await check(await wit())
    await check(await wit({}, { kid: undefined }), WIMSE)
  })

  it('accepts the second before the end, and not the end', async () => {
    await check(await wit(), {}, ISSUED_AT + LIFETIME - 1)
    await assert.rejects(check(await wit(), {}, ISSUED_AT + LIFETIME), { code: 'credential_expired' })
    await assert.rejects(check(await wit({ nbf: AT + 1 })), { code: 'credential_not_yet_valid' })
  })

  it('refuses another key, an unknown key and an ambiguous one', async () => {
    const other = publicJwkOf(KEYS.stranger)
    await assert.rejects(check(await wit({}, {}, KEYS.stranger)), { code: 'bad_signature' })
    await assert.rejects(check(await wit({}, { kid: 'other' })), { code: 'unknown_anchor' })
    const tokenKeys = new Map([...anchors.tokenKeys, ['other', other]])
    await assert.rejects(check(await wit({}, { kid: undefined }), { ...WIMSE, tokenKeys }), { code: 'unknown_anchor' })
  })

  const edKey = newKey('Ed25519')
  const edAnchors = { tokenKeys: new Map([[kidOf(edKey), publicJwkOf(edKey)]]) }
  const edWorkload = { cnf: { jwk: { ...publicJwkOf(KEYS.verifier), alg: 'EdDSA' } } }
  const strict: [what: string, code: string, token: () => Promise<Uint8Array>, anchors?: object][] = [
    ['names no key', 'malformed_credential', () => wit({}, { kid: undefined })],
    ['has an audience', 'malformed_credential', () => wit({ aud: 'spiffe://bank.example/ledger' })],
    ['has an empty audience', 'malformed_credential', () => wit({ aud: [] })],
    ['is signed by EdDSA', 'unsupported_algorithm', () => wit({}, { kid: kidOf(edKey) }, edKey), edAnchors],
    ['is for a key of EdDSA', 'unsupported_algorithm', () => wit(edWorkload)],
  ]
  for (const [what, code, token, change] of strict) {
    it(`refuses under the profile of SPIFFE (${code}), and takes under that of WIMSE, one that ${what}`, async () => {
      const bytes = await token()
      await assert.rejects(check(bytes, change), { code })
      await check(bytes, { ...change, ...WIMSE })
      const other = await wit({
        ...JSON.parse(decodeCompactJws(fromUtf8(bytes)).payload),
        sub: 'wimse://bank.example/a',
      })
      await check(other)
    })
  }

  it('refuses a WIMSE identifier where the trust domain has WIT-SVIDs alone', async () => {
    const bytes = await wit({ sub: 'wimse://bank.example/payments' })
    await check(bytes)
    const rules = { tokenProfile: 'wit-svid' } as const
    await assert.rejects(check(bytes, { rules }), { code: 'malformed_credential' })
  })

  it('refuses one that lives longer than it may, by whatever it says of its beginning', async () => {
    const rules = { maximumLifetime: LIFETIME }
    await check(await wit({ nbf: ISSUED_AT }), { rules })
    await check(await wit({ iat: ISSUED_AT }), { rules })
    // Neither: what is left is counted.
    await check(await wit(), { rules })
    for (const claims of [
      { nbf: ISSUED_AT - 1 },
      { iat: ISSUED_AT - 1 },
      { iat: ISSUED_AT - 1, nbf: ISSUED_AT },
      { exp: AT + LIFETIME + 1 },
    ]) {
      await assert.rejects(check(await wit(claims), { rules }), { code: 'lifetime_too_long' })
    }
  })

  it('never takes iat for the beginning of its validity', async () => {
    await check(await wit({ iat: AT + 100 }))
  })

  it("refuses the anchors of another trust domain, whatever they'd say", async () => {
    await assert.rejects(check(await wit(), { trustDomain: 'shop.example' }), { code: 'trust_domain_mismatch' })
  })
})

const other = newKey()
const intermediateKey = newKey()
const CA = x509.KeyUsageFlags.keyCertSign

function caExtensions(pathLength?: number, flags = CA): x509.Extension[] {
  return [new x509.BasicConstraintsExtension(true, pathLength, true), new x509.KeyUsagesExtension(flags, true)]
}
const without = (oid: string, ...more: x509.Extension[]) => [
  ...leafExtensions().filter(({ type }) => type !== oid),
  ...more,
]
const der = (pem: string) => decodePem(pem)[0]!

describe('parseCredential, of a certificate', () => {
  it('gives what it claims, and the digest of its DER, from PEM and from DER', async () => {
    const pem = await issueWic(workload)
    const credential = parseCredential(utf8(pem))
    assert.equal(credential.kind, 'wic')
    assert.equal(credential.subject.uri, SUBJECT)
    assert.equal(credential.identifier, '0badc0de')
    assert.deepEqual([credential.notBefore, credential.notAfter], [ISSUED_AT, ISSUED_AT + LIFETIME])
    assert.equal(credential.keyThumbprint, jwkThumbprint(workload))
    assert.equal(toHex(parseCredential(credential.bytes).digest), toHex(sha256(credential.bytes)))
    const reference = new x509.X509Certificate(pem)
    assert.equal(toHex(new Uint8Array(reference.rawData)), toHex(credential.bytes))
  })

  const uris = (...values: string[]) => [
    ...without(
      '2.5.29.17',
      new x509.SubjectAlternativeNameExtension(
        values.map((value) => ({ type: 'url' as const, value })),
        true,
      ),
    ),
  ]
  const refused: [what: string, code: string, edits: CertificateEdits][] = [
    ['two identifiers', 'identifier_ambiguous', { extensions: uris(SUBJECT, 'spiffe://bank.example/admin') }],
    ['no identifier', 'identifier_missing', { extensions: without('2.5.29.17') }],
    [
      'an identifier with a comma trick',
      'malformed_identifier',
      { extensions: uris(`${SUBJECT}, URI:spiffe://bank.example/admin`) },
    ],
    ['a URI that is no identifier', 'malformed_identifier', { extensions: uris('https://bank.example/payments') }],
    ['a trust domain as identifier', 'malformed_identifier', { extensions: uris('spiffe://bank.example') }],
  ]
  for (const [what, code, edits] of refused) {
    it(`refuses ${what} (${code})`, async () => {
      const pem = await issueWic(workload, edits)
      assert.throws(() => parseCredential(utf8(pem)), { code })
    })
  }

  it('takes other kinds of names beside the identifier', async () => {
    const names = [
      { type: 'url', value: SUBJECT },
      { type: 'dns', value: 'payments.bank.example' },
    ] as const
    const extensions = without('2.5.29.17', new x509.SubjectAlternativeNameExtension([...names], true))
    assert.equal(parseCredential(utf8(await issueWic(workload, { extensions }))).subject.uri, SUBJECT)
  })

  it('refuses DER with a byte more, a byte less, or any one byte of its frame changed', async () => {
    const bytes = der(await issueWic(workload))
    assert.throws(() => parseCredential(Uint8Array.of(...bytes, 0)), { code: 'malformed_der' })
    assert.throws(() => parseCredential(bytes.subarray(0, -1)), { code: 'malformed_der' })
    for (const at of [1, 2, 3, 4, 5, 6]) {
      const changed = bytes.slice()
      changed[at]! ^= 1
      assert.throws(() => parseCredential(changed), { code: 'malformed_der' })
    }
  })

  it('refuses files with a private key, and text that is no PEM', async () => {
    const pem = await issueWic(workload)
    const key = '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'
    for (const text of [`${pem}${key}`, '-----BEGIN CERTIFICATE-----\n', pem.replace('END', 'DNE')]) {
      assert.throws(() => parseCredential(utf8(text)), { code: 'malformed_credential' })
    }
  })

  it('refuses a changed certificate at every byte, by one check or another', async () => {
    const bytes = der(await issueWic(workload))
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice()
      changed[at]! ^= 0x01
      await assert.rejects(
        async () => verifyCredentialSignature(parseCredential(changed), anchors, AT),
        (error: Error) => error.name === 'EvidenceError',
        `byte ${at}`,
      )
    }
  })
})

describe('verifyCredentialSignature, of a certificate', () => {
  async function check(edits: CertificateEdits = {}, chain: string[] = [], at = AT): Promise<void> {
    const pem = [await issueWic(workload, edits), ...chain].join('')
    await verifyCredentialSignature(parseCredential(utf8(pem)), anchors, at)
  }
  const intermediate = (edits: CertificateEdits = {}) =>
    issueWic(publicJwkOf(intermediateKey), { subject: 'CN=intermediate', extensions: caExtensions(), ...edits })
  const below = { issuer: 'CN=intermediate', issuerKey: intermediateKey }

  it('accepts one directly under the anchor, for both of its last seconds', async () => {
    await check()
    await check({}, [], ISSUED_AT)
    await check({}, [], ISSUED_AT + LIFETIME)
  })

  it('refuses one that lives longer than it may', async () => {
    const credential = parseCredential(utf8(await issueWic(workload)))
    const verify = (maximumLifetime: number) =>
      verifyCredentialSignature(credential, { ...anchors, rules: { maximumLifetime } }, AT)
    await verify(LIFETIME)
    await assert.rejects(verify(LIFETIME - 1), { code: 'lifetime_too_long' })
  })

  it('accepts one under an intermediate, wherever in the file that is', async () => {
    const stranger = await issueWic(publicJwkOf(other), { subject: 'CN=other', extensions: caExtensions() })
    await check(below, [await intermediate()])
    await check(below, [stranger, await intermediate()])
  })

  it('accepts one without extKeyUsage', () => check({ extensions: without('2.5.29.37') }))

  it('finds the honest intermediate beside a forged one of the same name', async () => {
    const forged = await intermediate({ issuerKey: other })
    await check(below, [forged, await intermediate()])
  })

  const usage = (flags: x509.KeyUsageFlags) => without('2.5.29.15', new x509.KeyUsagesExtension(flags, true))
  const unknown = new x509.Extension('1.3.6.1.4.1.99999.1', true, fromHex('0500') as Uint8Array<ArrayBuffer>)
  const harmless = new x509.Extension('1.3.6.1.4.1.99999.1', false, fromHex('0500') as Uint8Array<ArrayBuffer>)
  const extension = (oid: string, hex: string) =>
    new x509.Extension(oid, false, fromHex(hex) as Uint8Array<ArrayBuffer>)
  // URIs of bank.example.
  const constraints = extension('2.5.29.30', '3012a010300e860c62616e6b2e6578616d706c65')
  const notCritical = new x509.SubjectAlternativeNameExtension([{ type: 'url', value: SUBJECT }], false)

  it('accepts an extension that it does not know and that is not critical', () =>
    check({ extensions: [...leafExtensions(), harmless] }))

  const refused: [what: string, code: string, edits: CertificateEdits][] = [
    ['one signed by another key', 'bad_signature', { issuerKey: other }],
    ['one issued under another name', 'unknown_anchor', { issuer: 'CN=evil.example' }],
    ['one that has not begun', 'credential_not_yet_valid', { notBefore: AT + 1 }],
    ['one that has ended', 'credential_expired', { notAfter: AT - 1 }],
    [
      'one that is a CA',
      'certificate_is_ca',
      { extensions: without('2.5.29.19', new x509.BasicConstraintsExtension(true)) },
    ],
    [
      'one that may sign certificates',
      'certificate_is_ca',
      { extensions: usage(x509.KeyUsageFlags.digitalSignature | CA) },
    ],
    [
      'one that may sign CRLs',
      'certificate_is_ca',
      { extensions: usage(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.cRLSign) },
    ],
    ['one that may not sign', 'certificate_wrong_usage', { extensions: usage(x509.KeyUsageFlags.keyAgreement) }],
    ['one without keyUsage', 'certificate_wrong_usage', { extensions: without('2.5.29.15') }],
    [
      'one for signing code',
      'certificate_wrong_usage',
      { extensions: without('2.5.29.37', new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.3'])) },
    ],
    ['an unknown critical extension', 'unknown_critical_extension', { extensions: [...leafExtensions(), unknown] }],
    [
      'name constraints, which are for authorities',
      'malformed_credential',
      { extensions: [...leafExtensions(), constraints] },
    ],
    [
      'an empty subject beside an alternative name that is not critical',
      'malformed_credential',
      { extensions: without('2.5.29.17', notCritical) },
    ],
    [
      'the certificate of another trust domain, although an anchor here signed it',
      'trust_domain_mismatch',
      { extensions: leafExtensions('spiffe://shop.example/payments') },
    ],
  ]
  for (const [what, code, edits] of refused) {
    it(`refuses ${what} (${code})`, async () => assert.rejects(check(edits), { code }))
  }

  const badIssuers: [what: string, code: string, edits: CertificateEdits][] = [
    ['that is no CA', 'certificate_not_ca', { extensions: leafExtensions('spiffe://bank.example/ca') }],
    [
      'without keyCertSign',
      'certificate_not_ca',
      { extensions: caExtensions(undefined, x509.KeyUsageFlags.digitalSignature) },
    ],
    [
      'without keyUsage',
      'certificate_not_ca',
      { extensions: [new x509.BasicConstraintsExtension(true, undefined, true)] },
    ],
    ['that has ended', 'credential_expired', { notAfter: AT - 1 }],
    ['signed by somebody else', 'bad_signature', { issuerKey: other }],
    ['with an unknown critical extension', 'unknown_critical_extension', { extensions: [...caExtensions(), unknown] }],
    [
      'with name constraints that constrain nothing',
      'malformed_credential',
      { extensions: [...caExtensions(), extension('2.5.29.30', '3000')] },
    ],
    [
      'with an empty list of name constraints',
      'malformed_credential',
      { extensions: [...caExtensions(), extension('2.5.29.30', '3002a000')] },
    ],
    [
      'with policy constraints, critical or not',
      'unknown_critical_extension',
      { extensions: [...caExtensions(), extension('2.5.29.36', '3003800100')] },
    ],
    [
      'for signing code only',
      'certificate_wrong_usage',
      { extensions: [...caExtensions(), new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.3'])] },
    ],
    [
      'of another trust domain',
      'trust_domain_mismatch',
      {
        extensions: [
          ...caExtensions(),
          new x509.SubjectAlternativeNameExtension([{ type: 'url', value: 'spiffe://shop.example' }]),
        ],
      },
    ],
  ]
  for (const [what, code, edits] of badIssuers) {
    it(`refuses an intermediate ${what} (${code})`, async () => {
      await assert.rejects(check(below, [await intermediate(edits)]), { code })
    })
  }

  it('refuses an intermediate that was not supplied', async () => {
    await assert.rejects(check(below), { code: 'unknown_anchor' })
  })

  it('counts intermediates against pathLenConstraint, the anchor\u2019s too', async () => {
    // The anchor allows one; a second is one too many, whoever would allow it.
    const secondKey = newKey()
    const second = await issueWic(publicJwkOf(secondKey), {
      subject: 'CN=second',
      extensions: caExtensions(),
      ...below,
    })
    const leaf = { issuer: 'CN=second', issuerKey: secondKey }
    await assert.rejects(check(leaf, [second, await intermediate()]), { code: 'certificate_path_too_long' })

    const unlimited = parseCertificate(
      der(
        await issueWic(publicJwkOf(KEYS.anchor), {
          subject: 'CN=bank.example',
          extensions: caExtensions(),
        }),
      ),
    )
    const roomy = { ...anchors, certificates: [unlimited] }
    const parse = async (...chain: string[]) =>
      parseCredential(utf8([await issueWic(workload, leaf), ...chain].join('')))
    await verifyCredentialSignature(await parse(second, await intermediate()), roomy, AT)
    const strict = await intermediate({ extensions: caExtensions(0) })
    await assert.rejects(async () => verifyCredentialSignature(await parse(second, strict), roomy, AT), {
      code: 'certificate_path_too_long',
    })
  })

  it('refuses more than three intermediates, and ends on certificates that issue each other', async () => {
    const chain = await Promise.all([1, 2, 3, 4].map(() => intermediate()))
    await assert.rejects(check(below, chain), { code: 'certificate_path_too_long' })
    const loop = await intermediate({ issuer: 'CN=intermediate', issuerKey: intermediateKey })
    await assert.rejects(check(below, [loop, loop, loop]), { name: 'EvidenceError' })
  })

  it('refuses a leaf that is itself an anchor\u2019s equal', async () => {
    const leaf = parseCertificate(der(await issueWic(workload)))
    await assert.rejects(checkCertificatePath(leaf, [], [leaf], AT), { code: 'unknown_anchor' })
  })
})

describe('spkiOfJwk', () => {
  it('is what other libraries make, and is read back', async () => {
    for (const type of ['P-256', 'Ed25519'] as const) {
      const jwk = publicJwkOf(newKey(type))
      const spki = spkiOfJwk(jwk)
      assert.equal(jwkThumbprint(jwkOfSpki(spki)!), jwkThumbprint(jwk))
      const { createPublicKey } = await import('node:crypto')
      const reference = createPublicKey({ key: { ...jwk }, format: 'jwk' }).export({ type: 'spki', format: 'der' })
      assert.equal(toBase64(spki), reference.toString('base64'))
    }
  })
})
